"""Rules, privacy and forgetting on the pages: what a person tries, decides and orders there, in a browser."""

from typing import Any

from playwright.async_api import Browser, Page, expect

from relay.base import jsonio
from tests.browser.conftest import signed_in
from tests.browser.test_pages import ask, barriers
from tests.browser.town import Town
from tests.support.waiting import eventually

COUPON = {"type": "track", "event": "Coupon Applied", "userId": "u1", "context": {"ip": "203.0.113.9"}, "properties": {"code": "SPRING"}}


async def stored(shop: Town, source: str = "web", **event: Any) -> str:
    """Send one event; its id once it is in the log."""
    made = shop.event(source, **event)
    await shop.send([made], source)

    async def found() -> Any:
        events = (await ask(shop, f"events?message_id={made['messageId']}"))["events"]
        return events[0]["event_id"] if events else None

    event_id: str = await eventually(found, 10)
    return event_id


async def test_a_rule_shows_what_it_does_while_it_is_written(page: Page) -> None:
    await page.goto("/ui/destinations/analytics?tab=filters")
    await page.get_by_label("filter 1", exact=True).get_by_role("button", name="Try a change").click()
    assert "rule=filter-0" in page.url
    await page.get_by_label("Try on").select_option("own")
    await page.get_by_label("The event as JSON").fill(jsonio.dumps(COUPON).decode())
    await expect(page.get_by_text("Dropped.")).to_be_visible()
    await page.get_by_label("What it does").fill('[{"type": "DROP_PROPERTIES", "fields": {"context": ["ip"]}}]')
    changed = page.get_by_role("row", name="context.ip")
    await expect(changed).to_contain_text("203.0.113.9")
    await page.get_by_label("When").fill("event = 'Other'")
    await expect(page.get_by_text("The condition does not hold")).to_be_visible()
    await expect(page.locator("pre.code").last).to_contain_text("if = \"event = 'Other'\"")


async def test_a_mistake_is_told_at_its_field_with_its_position(chromium: Browser, shop: Town) -> None:
    """The browser itself complains of a refused question, so the page is not watched."""
    async with signed_in(chromium, shop) as (page, _):
        await page.goto("/ui/sources/web?tab=rules&rule=transformation-0")
        await page.get_by_label("When").fill("type = ")
        await expect(page.get_by_text("character 8")).to_be_visible()
        await expect(page.get_by_role("button", name="Run")).to_be_disabled()
        await page.get_by_label("When").fill('type = "track"')
        await page.get_by_label("What it does").fill('{"newEventName": ')
        await expect(page.get_by_text("This is no JSON")).to_be_visible()


async def test_a_change_is_tried_on_stored_events(page: Page, shop: Town) -> None:
    await stored(shop, type="track", event="Cart Viewed", userId="tried")
    await page.goto("/ui/destinations/ads?tab=filters&rule=filter-new")
    await page.get_by_label("When").fill("event = 'Cart Viewed'")
    await page.get_by_role("button", name="Run").click()
    run = page.get_by_label("Try it on stored events")
    await expect(run.get_by_text("this changes what is sent")).to_be_visible(timeout=20_000)
    await expect(run.locator("code", has_text="FILTERED_BY_RULES")).to_be_visible()
    assert await barriers(page) == []
    await run.get_by_role("link", name="Open event").first.click()
    await expect(page.get_by_role("heading", name="Cart Viewed").first).to_be_visible()
    assert "/ui/events/e" in page.url


async def test_a_hash_key_that_no_page_shows_is_kept_in_a_dry_run(page: Page, shop: Town) -> None:
    await stored(shop, type="track", event="Signed Up", properties={"referral": "r1"})
    await page.goto("/ui/destinations/analytics?tab=filters&rule=transformation-0")
    await expect(page.get_by_label("What it does")).to_have_value('{\n  "newEventName": "Account Created",\n  "propertyRenames": [\n    {\n      "oldName": "properties.revenue",\n      "newName": "properties.value"\n    }\n  ],\n  "hashPropertiesConfiguration": {\n    "algorithm": "SHA256",\n    "encoding": "HEX",\n    "paths": ["properties.referral"],\n    "key": "•••"\n  }\n}')  # fmt: skip
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_text("nothing would be different")).to_be_visible(timeout=20_000)
    assert "kept-from-pages" not in await page.content()


async def test_a_field_of_the_inbox_is_decided(page: Page, shop: Town) -> None:
    await stored(shop, "server", type="identify", userId="with-iban", traits={"iban": "DE00"})

    async def came() -> Any:
        return any(one["path"] == "traits.iban" for one in (await ask(shop, "privacy"))["inbox"])

    await eventually(came, 20)
    await page.goto("/ui/privacy?tab=inbox")
    accept = page.get_by_role("button", name="Accept red for traits.iban of server")
    await accept.click()
    await expect(accept).to_have_count(0)
    field = next(one for one in (await ask(shop, "privacy"))["inventory"] if one["path"] == "traits.iban")
    assert (field["color"], field["decided"]) == ("red", "red")
    await page.get_by_role("tab", name="Inventory").click()
    await page.get_by_role("button", name="Unprotected").click()
    row = page.get_by_role("row").filter(has_text="traits.iban")
    await expect(row).to_contain_text("stored as it is")
    await row.get_by_role("button", name="Protect").click()
    await page.get_by_role("button", name="Leave out").click()
    await expect(page.locator("dialog pre.code")).to_contain_text('block = ["traits.iban"]')
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_text("this changes what is sent")).to_be_visible(timeout=20_000)
    assert await barriers(page) == []


async def test_a_user_is_forgotten(page: Page, shop: Town) -> None:
    event_id = await stored(shop, type="track", event="Cart Viewed", userId="leaver-4711")
    await page.goto("/ui/privacy?tab=forget")
    order = page.get_by_label("Forget a user", exact=True)
    button = order.get_by_role("button", name="Delete, and refuse from now on")
    await order.get_by_label("User id").fill("leaver-4711")
    await order.get_by_label("Type the id again").fill("leaver-47")
    await expect(button).to_be_disabled()
    await order.get_by_label("Type the id again").fill("leaver-4711")
    await button.click()

    async def ended() -> Any:
        jobs = (await ask(shop, "forget"))["jobs"]
        return next((job for job in jobs if job["type"] == "SUPPRESS_WITH_DELETE" and job["finished_s"]), None)

    job = await eventually(ended, 30)
    assert next(one["erased"] for one in job["stores"] if one["name"] == "log") == 1
    receipt = page.get_by_label("Requests").locator(".receipt")
    await expect(receipt.get_by_role("row").filter(has_text="log").first).to_contain_text("done")
    search = page.get_by_label("Search again", exact=True)
    await search.get_by_label("User id").fill("leaver-4711")
    await search.get_by_role("button", name="Search").click()
    await expect(search.get_by_text("Found nowhere.")).to_be_visible(timeout=20_000)
    assert await barriers(page) == []
    assert "leaver" not in page.url
    assert (await ask(shop, f"events/{event_id}"))["user_id"] in (None, "")


async def test_a_replay_can_read_an_archive(page: Page, shop: Town) -> None:
    await stored(shop, type="track", event="Order Completed", userId="archived")

    async def archived() -> Any:
        return (await ask(shop, "destinations/archive"))["funnel"]["delivered"]

    await eventually(archived, 20)
    await page.goto("/ui/destinations/orders")
    await page.get_by_role("button", name="Replay").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("From", exact=True).select_option("archive")
    await dialog.get_by_role("button", name="All of it").click()
    await expect(dialog.get_by_text("about", exact=True)).to_be_visible()
    await expect(dialog.locator(".estimate-count")).to_be_visible()


async def test_a_viewer_reads_rules_and_tries_none(chromium: Browser, shop: Town) -> None:
    headers = {"authorization": f"Bearer {shop.relay.cli_token}"}
    async with shop.session.post(f"{shop.relay.ui_url}/ui/api/tokens", json={"name": "reader", "role": "viewer"}, headers=headers) as done:
        token = (await done.json())["token"]
    async with signed_in(chromium, shop, token=token) as (page, watch):
        await page.goto("/ui/destinations/analytics?tab=filters&rule=filter-0")
        await expect(page.get_by_text("No coupons")).to_be_visible()
        assert await page.get_by_role("button", name="Try a change").count() == 0
        await page.goto("/ui/privacy?tab=forget")
        await expect(page.get_by_role("tab", name="Inbox")).to_be_visible()
        assert await page.get_by_role("tab", name="Forget").count() == 0
        assert await page.get_by_role("button", name="Accept").count() == 0
        assert (watch.complaints, watch.strangers) == ([], [])
