"""The event page of what goes no further than its source: blocked by the schema, and refused because its user is suppressed."""

from typing import Any

from playwright.async_api import Page, expect

from tests.browser.town import Town
from tests.support.waiting import eventually


async def story(shop: Town, message_id: str) -> Any:
    """What relay tells of it; None: nothing yet."""
    url = f"{shop.relay.ui_url}/ui/api/events?message_id={message_id}"
    async with shop.session.get(url, headers=admin(shop)) as done:
        return (await done.json())["events"][0] if done.status == 200 else None


def admin(shop: Town) -> dict[str, str]:
    return {"authorization": f"Bearer {shop.relay.cli_token}"}


async def test_a_blocked_event_shows_the_stage_the_code_and_the_cure(page: Page, shop: Town) -> None:
    await shop.send([shop.event(type="track", event="Debugged", userId="curious", messageId="blocked-1")])
    told = await eventually(lambda: story(shop, "blocked-1"), 10)
    await page.goto(f"/ui/events/{told['event_id']}")
    await expect(page.get_by_role("heading", name="Debugged")).to_be_visible()
    way = page.locator(".way")
    for text in ("event_setting", "the source's schema blocks events of this name", "Allow the event in the source's schema if it is wanted."):
        await expect(way.get_by_text(text).first).to_be_visible()
    assert await page.get_by_role("button", name="Retry now").count() == 0


async def test_a_suppressed_event_shows_why_and_nothing_of_its_user(page: Page, shop: Town) -> None:
    wanted: dict[str, Any] = {"user_ids": ["hush-user"], "type": "SUPPRESS_ONLY"}
    async with shop.session.post(f"{shop.relay.ui_url}/ui/api/forget", json=wanted, headers=admin(shop)) as done:
        assert done.status in (200, 202), await done.text()
    await shop.send([shop.event(type="track", event="Secretly Bought", userId="hush-user", messageId="suppressed-1")])
    told = await eventually(lambda: story(shop, "suppressed-1"), 10)
    await page.goto(f"/ui/events/{told['event_id']}")
    way = page.locator(".way")
    for text in ("suppressed", "the user is suppressed, so what they send is refused and not kept", "Lift the suppression of the user"):
        await expect(way.get_by_text(text).first).to_be_visible()
    await expect(page.get_by_text("Events of suppressed users are not kept.")).to_be_visible()
    shown = await page.locator("main").inner_text()
    assert "hush-user" not in shown
    assert "Secretly" not in shown
