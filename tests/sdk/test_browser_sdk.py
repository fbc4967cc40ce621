"""Segment's browser client, loaded from relay's own script route by a page of another origin, in a real Chromium, against a real relay."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Request, async_playwright

from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer
from tests.support.sdk import TYPES, WRITE_KEY, arrivals, assert_same, assert_times, relay_with_receiver

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
# As root in a container there is neither a sandbox nor much shared memory.
LIMIT_S = 60
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

# A script tag with the queue that stands in for the client until it is loaded, as a site has it. `_cdn` is needed because the client
# recognises its own script tag only over https.
PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,">
<script>
  var analytics = (window.analytics = []);
  const queued = (method) => (...given) => { analytics.push([method, ...given]); return analytics };
  for (const method of ["identify", "track", "page", "screen", "group", "alias", "ready", "on"]) analytics[method] = queued(method);
  analytics._writeKey = "{key}";
  analytics._cdn = "{relay}";
  {early}
</script>
<script async src="{relay}/analytics.js/v1/{key}/analytics.min.js"></script>
</head><body>Shop</body></html>
"""
SIX_CALLS = """async () => {
  await new Promise((done) => analytics.ready(done));
  await analytics.page("Docs", "Install");
  await analytics.identify("user-1", {email: "ada@example.com", plan: "pro", signedUpAt: new Date("2026-01-02T03:04:05.678Z")});
  await analytics.track("Order Completed",
    {order_id: "o-1", revenue: 25.5, currency: "EUR", products: [{product_id: "p-1", price: 25.5, quantity: 1}], note: "Žluťoučký 🐎", nothing: null},
    {integrations: {All: true, Mixpanel: false, Amplitude: {session_id: 1767323045678}}});
  await analytics.screen("Checkout", "Cart", {items: 2});
  await analytics.group("group-1", {name: "Initech", employees: 42});
  await analytics.alias("user-2", "user-1");
}"""


class Tab:
    """A page in its own browser, with what it put on the wire and what it complained about."""

    def __init__(self, page: Page, relay: RelayProcess) -> None:
        self.page, self._relay = page, relay
        self.sent: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.on("request", self._note)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, request: Request) -> None:
        if request.method == "POST" and request.url.startswith(self._relay.tracking_url) and not request.url.endswith("/m"):
            self.sent.append(request.post_data_json)
        elif not request.url.startswith(("http://127.0.0.1:", "http://localhost:", "data:")):
            self.strangers.append(request.url)


@asynccontextmanager
async def open_shop(relay: RelayProcess, *, early: str = "", skew: timedelta = timedelta(0)) -> AsyncIterator[Tab]:
    """The page on a server of its own, on another port and under another name than relay's."""
    async with asyncio.timeout(LIMIT_S), Receiver() as shop, async_playwright() as playwright:
        html = PAGE.replace("{relay}", relay.tracking_url).replace("{key}", WRITE_KEY).replace("{early}", early)
        shop.default = answer(200, {"content-type": "text/html; charset=utf-8"}, html.encode())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = await browser.new_page()
            tab = Tab(page, relay)
            if skew:
                await page.clock.install(time=datetime.now(UTC) + skew)
            await page.goto(f"http://localhost:{shop.port}/products?utm_source=news&utm_medium=email&utm_campaign=spring")
            yield tab
        finally:
            await browser.close()


async def test_all_six_calls_arrive_as_they_were_made(tmp_path: Path) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started = datetime.now(UTC)
        async with open_shop(relay) as tab:
            await tab.page.evaluate(SIX_CALLS)
            got = await arrivals(receiver, 6)
        assert {event["type"] for event in got} == TYPES
        assert_same(tab.sent, got, context_may_grow=True)
        for event in got:
            assert event["context"]["library"] == {"name": "analytics.js", "version": "next-1.84.3"}
            assert event["context"]["ip"] == "127.0.0.1"
            assert event["context"]["campaign"] == {"source": "news", "medium": "email", "name": "spring"}
            assert event["anonymousId"] == got[0]["anonymousId"]
            assert_times(event, started=started)
        assert (tab.complaints, tab.strangers) == ([], [])


async def test_calls_made_before_the_script_is_there_are_not_lost(tmp_path: Path) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        async with open_shop(relay, early='analytics.page(); analytics.track("Early", {n: 1});') as tab:
            page, track = sorted(await arrivals(receiver, 2), key=lambda event: str(event["type"]))
        assert page["properties"]["title"] == "Shop"
        assert (track["event"], track["properties"]) == ("Early", {"n": 1})
        assert (tab.complaints, tab.strangers) == ([], [])


async def test_a_wrong_clock_in_the_browser_is_corrected(tmp_path: Path) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started, skew = datetime.now(UTC), timedelta(hours=3)
        async with open_shop(relay, early='analytics.track("Early");', skew=skew):
            (event,) = await arrivals(receiver, 1)
        assert abs(datetime.fromisoformat(event["originalTimestamp"]) - skew - started) < timedelta(seconds=30)
        assert_times(event, started=started)


async def test_a_reader_who_leaves_while_the_event_is_on_its_way_is_counted(tmp_path: Path) -> None:
    keepalive = 'analytics._loadOptions = {integrations: {"Segment.io": {deliveryStrategy: {config: {keepalive: true}}}}};'
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        async with open_shop(relay, early=keepalive) as tab:
            await tab.page.evaluate("() => new Promise((done) => analytics.ready(() => done()))")
            async with tab.page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/v1/t")):
                await tab.page.evaluate('() => { analytics.track("Left") }')
            await tab.page.goto("about:blank")
            (event,) = await arrivals(receiver, 1)
        assert event["event"] == "Left"
