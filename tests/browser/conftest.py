"""Chromium, the shop, and pages that are signed in and watched: what they complain about or ask of strangers fails the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.town import Town, town

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path(__file__).parent / "screenshots"

OpenPage = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all of them: the browser and the shop live in it."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    async with town(tmp_path_factory.mktemp("town"), settings=("alerts.check_every_s=2",)) as shop:
        yield shop


class Watch:
    """What a page did that it should not."""

    def __init__(self, page: Page, ui_url: str) -> None:
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith((ui_url, "data:", "blob:")) else self.strangers.append(request.url))


@asynccontextmanager
async def signed_in(chromium: Browser, shop: Town, *, token: str = "", **options: Any) -> AsyncIterator[tuple[Page, Watch]]:
    """A page of its own browser session. `options`: of the browser context (`color_scheme`, `viewport` ...)."""
    context = await chromium.new_context(**({"viewport": {"width": 1440, "height": 900}, "base_url": shop.relay.ui_url} | options))
    try:
        done = await context.request.post(f"{shop.relay.ui_url}/ui/api/login", data={"token": token or shop.relay.cli_token})
        assert done.status == 200, await done.text()
        page = await context.new_page()
        page.set_default_timeout(15_000)
        yield page, Watch(page, shop.relay.ui_url)
    finally:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, shop: Town) -> AsyncIterator[Page]:
    """A watched page of an admin; a complaint or a request to a stranger fails the test."""
    async with signed_in(chromium, shop) as (page, watch):
        yield page
        assert (watch.complaints, watch.strangers) == ([], [])
