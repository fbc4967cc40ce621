"""Every page, in both themes: nothing that axe finds, nothing in the console, no stranger asked; a screenshot of each for a person to look at."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import SCREENSHOTS, signed_in
from tests.browser.town import Town
from tests.support.receiver import answer
from tests.support.ui_tools import ui_tools
from tests.support.waiting import eventually

PAGES = {
    "overview": "/ui",
    "live": "/ui/live",
    "live_detail": "/ui/live?e={good}",
    "event": "/ui/events/{good}",
    "event_dead": "/ui/events/{dead}",
    "sources": "/ui/sources",
    "source": "/ui/sources/web",
    "destinations": "/ui/destinations",
    "destination": "/ui/destinations/analytics",
    "destination_held": "/ui/destinations/crm",
    "source_schema": "/ui/sources/web?tab=schema&open=track+Order+Completed",
    "plans": "/ui/plans",
    "plan": "/ui/plans/shop",
    "plan_unplanned": "/ui/plans/shop?tab=unplanned",
    "plan_rules": "/ui/plans/shop?tab=rules&rule=TRACK+1+Order+Completed",
    "plan_drift": "/ui/plans/shop?tab=drift",
    "plan_editor": "/ui/plans/shop?tab=editor",
    "plan_history": "/ui/plans/shop?tab=history",
    "destination_filters": "/ui/destinations/analytics?tab=filters",
    "filter_tried": "/ui/destinations/analytics?tab=filters&rule=filter-1",
    "source_rules": "/ui/sources/web?tab=rules",
    "privacy": "/ui/privacy?tab=inbox",
    "privacy_inventory": "/ui/privacy?tab=inventory",
    "privacy_matchers": "/ui/privacy?tab=matchers",
    "privacy_rules": "/ui/privacy?tab=rules",
    "privacy_forget": "/ui/privacy?tab=forget",
    "catalog": "/ui/catalog",
    "catalog_one": "/ui/catalog/google-analytics-4",
    "alerts": "/ui/alerts",
    "settings": "/ui/settings",
}
SETTLE_MS = 1_500
"""Long enough for a page's first answers and a chart."""
FIRST_LOAD_BYTES = 60_000
FIRST_LOAD_REQUESTS = 25
DOM_NODES = 1_500
FIRST_ROW_S = 1.0
LONG_TASK_MS = 150


async def ask(shop: Town, path: str) -> Any:
    """What the console answers to an admin."""
    headers = {"authorization": f"Bearer {shop.relay.cli_token}"}
    async with shop.session.get(f"{shop.relay.ui_url}/ui/api/{path}", headers=headers) as done:
        assert done.status == 200, await done.text()
        return await done.json()


async def barriers(page: Page) -> Any:
    """What axe finds on the page as it is now."""
    source = (ui_tools().folder / "node_modules/axe-core/axe.min.js").read_text()
    await page.evaluate(f"() => {{ {source} }}")
    return await page.evaluate("axe.run().then((done) => done.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]))")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def events(shop: Town) -> AsyncIterator[dict[str, str]]:
    """Event ids of one that was delivered and one that is dead at a destination."""
    doomed = shop.event(type="track", event="Order Completed", userId="doomed", messageId="doomed-1")
    shop.receiver.by_path["/orders"] = answer(400, body=b'{"error":"no such order"}')
    await shop.send([doomed])

    async def dead() -> Any:
        return (await ask(shop, "dead?to=orders"))["dead"]

    letter = (await eventually(dead, 10))[0]
    shop.receiver.by_path["/orders"] = answer(200, body=b'{"ok":true}')
    good = shop.event(type="track", event="Order Completed", userId="lucky", messageId="lucky-1")
    await shop.send([good])

    async def stored() -> Any:
        async with shop.session.get(
            f"{shop.relay.ui_url}/ui/api/events?message_id=lucky-1", headers={"authorization": f"Bearer {shop.relay.cli_token}"}
        ) as done:
            return done.status == 200 and (await done.json())["events"][0]["event_id"]

    yield {"dead": f"e{letter['id']}", "good": await eventually(stored, 10)}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_clean(chromium: Browser, shop: Town, events: dict[str, str], name: str, theme: str) -> None:
    async with signed_in(chromium, shop, color_scheme=theme) as (page, watch):
        await page.goto(PAGES[name].format(**events))
        await page.locator("main h1").first.wait_for(state="attached")
        await page.wait_for_timeout(SETTLE_MS)
        SCREENSHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SCREENSHOTS / f"{name}-{theme}.png")
        assert await barriers(page) == []
        assert await page.evaluate("document.querySelectorAll('*').length") <= DOM_NODES
        assert (watch.complaints, watch.strangers) == ([], [])


async def test_the_first_load_is_small_and_fast(chromium: Browser, shop: Town) -> None:
    """Best of three: what else this machine does must not decide."""
    best_s = 60.0
    for _ in range(3):
        async with signed_in(chromium, shop) as (page, _):
            sizes: list[Any] = []
            page.on("requestfinished", lambda request, sizes=sizes: sizes.append(request))
            started = time.monotonic()
            await page.goto("/ui/live")
            await page.locator(".vt-rows .vt-row").first.wait_for()
            best_s = min(best_s, time.monotonic() - started)
            files = [request for request in sizes if "/ui/api/" not in request.url]
            weights = [await request.sizes() for request in files]
            assert sum(one["responseBodySize"] for one in weights) <= FIRST_LOAD_BYTES
            assert len(sizes) <= FIRST_LOAD_REQUESTS
    assert best_s <= FIRST_ROW_S


async def test_a_flood_does_not_stop_the_page(chromium: Browser, shop: Town) -> None:
    """1,000 events a second for some seconds: no task of the page takes long (best of three)."""
    longest = []
    for _ in range(3):
        async with signed_in(chromium, shop) as (page, watch):
            await page.goto("/ui/live")
            await page.locator(".vt-rows .vt-row").first.wait_for()
            await page.evaluate(
                "() => { window.tasks = []; new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((one) => one.duration))).observe({entryTypes: ['longtask']}) }"
            )
            for _ in range(20):
                await shop.send([shop.event() for _ in range(100)])
                await page.wait_for_timeout(80)
            longest.append(max(await page.evaluate("window.tasks"), default=0))
            assert await page.evaluate("document.querySelectorAll('*').length") <= DOM_NODES
            assert watch.complaints == []
        if longest[-1] <= LONG_TASK_MS:
            break
    assert min(longest) <= LONG_TASK_MS


async def test_retry_now_changes_the_timeline(page: Page, shop: Town, events: dict[str, str]) -> None:
    await page.goto(f"/ui/events/{events['dead']}")
    await page.get_by_role("button", name="Retry now").first.click()
    await expect(page.get_by_text("delivered").first).to_be_visible()

    async def arrived() -> Any:
        story = await ask(shop, f"events/{events['dead']}")
        return next(one["state"] for one in story["destinations"] if one["slug"] == "orders") == "delivered"

    await eventually(arrived, 10)


async def test_a_restart_is_survived(chromium: Browser, shop: Town) -> None:
    """The browser itself complains of refused connections meanwhile, so the page is not watched here."""
    async with signed_in(chromium, shop) as (page, _):
        await page.goto("/ui/live")
        await page.locator(".vt-rows .vt-row").first.wait_for()
        shop.quiet = True
        try:
            assert await shop.relay.restart() == 0
            await shop.send([shop.event(userId="after-restart")])
            await expect(page.locator(".vt-rows").get_by_text("after-restart").first).to_be_visible(timeout=20_000)
        finally:
            shop.quiet = False


async def test_a_viewer_sees_no_buttons_that_act(chromium: Browser, shop: Town) -> None:
    headers = {"authorization": f"Bearer {shop.relay.cli_token}"}
    async with shop.session.post(f"{shop.relay.ui_url}/ui/api/tokens", json={"name": "watcher", "role": "viewer"}, headers=headers) as done:
        token = (await done.json())["token"]
    async with signed_in(chromium, shop, token=token) as (page, watch):
        await page.goto("/ui/destinations/crm")
        await page.locator("main h1").first.wait_for(state="attached")
        await page.wait_for_timeout(SETTLE_MS)
        for name in ("Hold", "Resume", "Replay", "Discard"):
            assert await page.get_by_role("button", name=name).count() == 0, name
        assert (watch.complaints, watch.strangers) == ([], [])


async def test_the_one_time_link_signs_in(chromium: Browser, shop: Town) -> None:
    headers = {"authorization": f"Bearer {shop.relay.cli_token}"}
    async with shop.session.post(f"{shop.relay.ui_url}/ui/api/links", json={}, headers=headers) as done:
        told = await done.json()
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"{shop.relay.ui_url}/ui/login#{told['code']}")
        await page.locator("nav").first.wait_for()
        assert "#" not in page.url
    finally:
        await context.close()
