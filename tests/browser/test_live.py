"""The live debugger in a real browser, against a real relay with traffic."""

import asyncio
import json
from typing import Any

from playwright.async_api import Browser, Page, WebSocket, expect

from tests.browser.conftest import signed_in
from tests.browser.town import HOSTILE, Town
from tests.support.waiting import eventually


def frames_of(page: Page) -> list[dict[str, Any]]:
    """What the server says over the page's sockets, as it comes."""
    heard: list[dict[str, Any]] = []

    def hear(data: str | bytes) -> None:
        heard.append(json.loads(data))

    def follow(socket: WebSocket) -> None:
        socket.on("framereceived", hear)

    page.on("websocket", follow)
    return heard


def rows_in(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for frame in frames if frame["t"] in ("snapshot", "rows") for row in frame["rows"]]


async def test_the_stream_goes_on_where_the_snapshot_ended(page: Page, shop: Town) -> None:
    frames = frames_of(page)
    marked = [shop.event(userId="walker", messageId=f"walk-{number}") for number in range(60)]
    await shop.send(marked[:20])
    opening = asyncio.ensure_future(page.goto("/ui/live?q=user:walker"))
    for event in marked[20:]:
        await shop.send([event])
        await asyncio.sleep(0.02)
    await opening
    await eventually(lambda: len(rows_in(frames)) >= 60, 10)
    rows = rows_in(frames)
    assert [row["message_id"] for row in rows] == [event["messageId"] for event in marked]
    seqs = [row["seq"] for row in rows]
    assert seqs == sorted(set(seqs))
    await expect(page.locator(".vt-rows .vt-row").first).to_contain_text("walker")


async def test_a_filter_lives_in_the_address(page: Page, shop: Town) -> None:
    await page.goto("/ui/live")
    await page.locator(".vt-rows .vt-row").first.wait_for()
    box = page.get_by_role("combobox", name="Filter")
    await box.fill("type:page -source:ios")
    await box.press("Enter")
    await page.wait_for_url("**/ui/live?q=*")
    await eventually(lambda: all_types(page, {"page"}), 10)
    await page.reload()
    await eventually(lambda: all_types(page, {"page"}), 10)
    await expect(page.get_by_role("combobox", name="Filter")).to_have_value("type:page -source:ios")
    await page.get_by_role("combobox", name="Filter").fill("evnt:Home")
    await page.get_by_role("combobox", name="Filter").press("Enter")
    await expect(page.get_by_text("did you mean")).to_be_visible()


async def all_types(page: Page, wanted: set[str]) -> bool:
    cells = await page.locator(".vt-rows .type").all_inner_texts()
    return len(cells) > 3 and set(cells) <= wanted


async def test_pause_counts_and_resume_shows_what_came(page: Page, shop: Town) -> None:
    await page.goto("/ui/live?q=user:pauser")
    await page.get_by_role("button", name="Pause").click()
    await shop.send([shop.event(userId="pauser") for _ in range(12)])
    resume = page.get_by_role("button", name="Resume, 12 waiting")
    await expect(resume).to_be_visible(timeout=8_000)
    assert await page.locator(".vt-rows .vt-row").count() == 0
    await resume.click()
    await expect(page.locator(".vt-rows .vt-row")).to_have_count(12)


async def test_a_delivery_state_changes_in_place(page: Page, shop: Town) -> None:
    await page.goto("/ui/live?q=user:patched")
    await shop.send([shop.event(type="track", event="Order Completed", userId="patched")])
    await expect(page.locator(".vt-rows").get_by_role("img", name="orders: delivered")).to_be_visible()
    await expect(page.locator(".vt-rows").get_by_role("img", name="push: filtered")).to_have_count(0)


async def test_a_slow_reader_stays_connected_and_sees_what_it_missed(chromium: Browser, shop: Town) -> None:
    async with signed_in(chromium, shop) as (page, watch):
        await page.add_init_script(
            "const soon = window.requestAnimationFrame.bind(window); window.requestAnimationFrame = (act) => setTimeout(() => soon(act), 400)"
        )
        frames = frames_of(page)
        await page.goto("/ui/live")
        await page.locator(".vt-rows .vt-row").first.wait_for()
        for _ in range(30):
            await shop.send([shop.event() for _ in range(400)])
            await asyncio.sleep(0.1)
        await eventually(lambda: any(frame["t"] == "drops" and frame["total"] for frame in frames), 10)
        newest = shop.event(userId="newest")
        await shop.send([newest])
        await eventually(lambda: any(row["message_id"] == newest["messageId"] for row in rows_in(frames)), 3)
        assert sum(frame["t"] == "hello" for frame in frames) == 1
        await expect(page.locator(".live-figures")).not_to_contain_text("0 dropped", timeout=5_000)
        assert (watch.complaints, watch.strangers) == ([], [])


async def test_what_an_attacker_wrote_is_text(page: Page, shop: Town) -> None:
    await shop.send([
        shop.event(type="track", event=HOSTILE, userId=f"u{HOSTILE}", messageId="hostile-1", properties={HOSTILE: HOSTILE, "long": "x" * 20_000})
    ])  # fmt: skip
    await page.goto("/ui/live?q=id:hostile-1")
    row = page.locator(".vt-rows .vt-row").first
    await row.wait_for()
    text = await row.inner_text()
    assert "<img" in text and "\u202e" not in text and "\x07" not in text
    await row.click()
    await expect(page.get_by_text("onerror").first).to_be_visible()
    assert await page.locator("img[onerror], img[src=x]").count() == 0
    assert await page.title() != "1"


async def test_the_keyboard_is_enough(page: Page, shop: Town) -> None:
    await page.goto("/ui/live")
    await page.locator(".vt-rows .vt-row").first.wait_for()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**e=*")
    await page.keyboard.press("Escape")
    await eventually(lambda: "e=" not in page.url)
    await page.keyboard.press("/")
    await expect(page.get_by_role("combobox", name="Filter")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
