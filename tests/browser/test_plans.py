"""Tracking plans and the schema of a source, as people work with them."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import signed_in
from tests.browser.town import Town
from tests.support.waiting import eventually

REFUSED = "status of 400"
"""What the browser itself writes into the console about an answer that the page expects."""


async def ask(shop: Town, path: str, body: Any = None) -> Any:
    """What the console answers to an admin."""
    headers = {"authorization": f"Bearer {shop.relay.cli_token}"}
    async with shop.session.request("POST" if body else "GET", f"{shop.relay.ui_url}/ui/api/{path}", json=body, headers=headers) as done:
        assert done.status < 300, await done.text()
        return await done.json()


async def groups(shop: Town) -> set[tuple[str, str]]:
    return {(one["event"], one["field"]) for one in (await ask(shop, "plans/shop/violations"))["groups"]}


async def test_what_breaks_the_plan_is_shown_with_its_events_and_can_be_ignored(page: Page, shop: Town) -> None:
    await shop.send([shop.event(type="track", event="Refund Requested", messageId="refund-1", properties={"reason": "too late"})])
    missing = ("Refund Requested", "properties.order_id")

    async def told() -> bool:
        return missing in await groups(shop)

    await eventually(told, 15)
    await page.goto("/ui/plans/shop")
    part = page.locator("tbody", has_text="Refund Requested")
    await part.get_by_role("button", name="Events that show properties.order_id").click()
    await part.locator(".inset-table a").first.click()
    await expect(page.get_by_role("heading", name="Refund Requested")).to_be_visible()
    await page.get_by_role("link", name="Open the rule").first.click()
    await expect(page.locator("tr.is-open")).to_contain_text("Refund Requested")
    await page.get_by_role("tab", name="Violations").click()
    await part.get_by_role("button", name="Resolve: properties.order_id").click()
    await page.get_by_role("menuitem", name="Ignore it here").click()
    await expect(page.get_by_role("dialog")).to_contain_text("x-ignore")
    await page.get_by_role("dialog").get_by_role("button", name="Ignore").click()
    await expect(part).to_have_count(0)
    await expect(page.get_by_text("1 group ignored")).to_be_visible()
    assert missing not in await groups(shop)


async def test_an_edited_plan_is_refused_at_its_line_and_then_saved(chromium: Browser, shop: Town) -> None:
    rules = [{key: rule[key] for key in ("type", "key", "version", "jsonSchema")} for rule in (await ask(shop, "plans/shop"))["rules"]]
    gift: dict[str, Any] = {"type": "TRACK", "key": "Gift Wrapped", "jsonSchema": {"type": "objct"}}
    async with signed_in(chromium, shop) as (page, watch):
        await page.goto("/ui/plans/shop?tab=editor")
        field = page.get_by_role("textbox", name="The plan as JSON")
        text = json.dumps({"rules": [*rules, gift]}, indent=2)
        await field.fill(text.replace('"Gift Wrapped",', '"Gift Wrapped"'))
        await expect(page.get_by_role("alert")).to_contain_text("a comma or } is missing here")
        await expect(page.get_by_role("button", name="Save")).to_be_disabled()

        await field.fill(text)
        await page.get_by_role("button", name="Save").click()
        line = next(number for number, row in enumerate(text.split("\n"), 1) if "objct" in row)
        await expect(page.get_by_role("alert")).to_contain_text('unknown type "objct"')
        await page.get_by_role("button", name=f"line {line}").click()
        assert "objct" in await page.evaluate(
            "document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)"
        )

        await field.fill(text.replace("objct", "object"))
        await page.get_by_role("button", name="Show the changes").click()
        await expect(page.get_by_label("What would change")).to_contain_text("Gift Wrapped")
        await field.press("Control+s")
        await expect(page.get_by_text("The plan is saved: 1 rule added")).to_be_visible()
        await page.get_by_role("tab", name="History").click()
        await expect(page.locator("tbody tr").first).to_contain_text("1 rule added")
        assert [one for one in watch.complaints if REFUSED not in one] == watch.strangers == []
    assert "Gift Wrapped" in [rule["key"] for rule in (await ask(shop, "plans/shop"))["rules"]]


async def test_a_plan_is_tried_on_stored_events_before_it_is_saved(page: Page, shop: Town) -> None:
    await page.goto("/ui/plans/shop?tab=editor")
    await page.get_by_role("textbox", name="The plan as JSON").fill('{"rules": []}')
    await page.get_by_role("button", name="Try on stored events").click()
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_text("this changes what is sent")).to_be_visible(timeout=20_000)
    assert (await ask(shop, "plans/shop"))["rules"] != []


async def test_an_event_is_blocked_in_the_schema_and_let_through_again(page: Page, shop: Town) -> None:
    await page.goto("/ui/sources/web?tab=schema")
    switch = page.get_by_role("switch", name="Let Coupon Applied through")
    await expect(switch).to_have_attribute("aria-checked", "true")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "false")
    await shop.send([shop.event(type="track", event="Coupon Applied", messageId="coupon-1")])

    async def stored() -> Any:
        url = f"{shop.relay.ui_url}/ui/api/events?message_id=coupon-1"
        async with shop.session.get(url, headers={"authorization": f"Bearer {shop.relay.cli_token}"}) as done:
            return (await done.json())["events"][0]["event_id"] if done.status == 200 else None

    await page.goto(f"/ui/events/{await eventually(stored, 10)}")
    await expect(page.get_by_text("No destination gets this event:")).to_be_visible()
    await page.get_by_role("link", name="Open the schema").click()
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    assert next(one for one in (await ask(shop, "sources/web/schema"))["events"] if one["name"] == "Coupon Applied")["state"] == "allowed"


async def test_what_a_file_decides_has_its_place_and_no_switch(page: Page, shop: Town) -> None:
    await shop.send([shop.event(type="track", event="Debugged")])
    await page.goto("/ui/sources/web?tab=schema&q=debugged")
    row = page.locator("tr", has_text="Debugged")
    await expect(row).to_contain_text("relay.toml:")
    assert await row.get_by_role("switch").count() == 0


@pytest.mark.parametrize("path", ["/ui/plans/shop", "/ui/plans/shop?tab=editor", "/ui/sources/web?tab=schema"])
async def test_a_viewer_reads_and_cannot_change(chromium: Browser, shop: Town, path: str) -> None:
    token = (await ask(shop, "tokens", {"name": f"reader of {path}", "role": "viewer"}))["token"]
    async with signed_in(chromium, shop, token=token) as (page, watch):
        await page.goto(path)
        await page.get_by_role("tab").first.wait_for()
        await page.locator("main .card").first.wait_for()
        for name in ("Resolve", "Save", "Infer", "Try on"):
            assert await page.get_by_role("button", name=name).count() == 0, name
        assert await page.get_by_role("switch").count() == 0
        assert (watch.complaints, watch.strangers) == ([], [])
