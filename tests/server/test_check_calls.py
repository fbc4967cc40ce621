"""`relay check` makes the harmless call of each definition that has one, on a real socket, and says what came of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.cli import main
from relay.destinations import load_catalog
from tests.destinations.test_wire import CASES, configured
from tests.support.app import running, source, webhook
from tests.support.receiver import Receiver, answer

CATALOG = load_catalog()
TESTED = sorted(slug for slug, definition in CATALOG.items() if definition.test is not None and definition.open_sink is None)


async def checked(path: Path, *options: str) -> int:
    return await asyncio.to_thread(main, ["check", str(path), "--json", *options])


@pytest.mark.parametrize("slug", TESTED)
async def test_a_definition_is_reached_by_its_harmless_call(slug: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Receiver() as receiver:
        path = tmp_path / "relay.toml"
        path.write_text(configured(slug, CASES[slug], receiver))
        receiver.default = answer(200, body=b'{"code":0}')
        assert await checked(path) == 0
        (reached,) = json.loads(capsys.readouterr().out)["destinations"]
        assert reached["ok"]
        assert receiver.count == 1
        for status in (401, 404, 503):
            receiver.default = answer(status)
            assert await checked(path) == 1
            (reached,) = json.loads(capsys.readouterr().out)["destinations"]
            assert not reached["ok"]
            assert str(status) in reached["detail"]
        asked = receiver.count
        assert await checked(path, "--no-network") == 0
        assert receiver.count == asked


@pytest.mark.parametrize(
    ("slug", "status", "body", "detail"),
    [
        ("tiktok-conversions", 200, b'{"code":40105,"message":"expired"}', "credentials: TikTok answers 40105: expired"),
        ("tiktok-conversions", 200, b'{"code":40002,"message":"no data"}', ""),
        ("facebook-conversions-api", 400, b'{"error":{"code":190,"message":"expired"}}', "credentials: Meta answers 190: expired"),
        ("facebook-conversions-api", 400, b'{"error":{"code":4,"message":"slower"}}', ""),
        ("amplitude", 400, b'{"code":400,"error":"Invalid API key: k"}', "credentials: Amplitude does not know the API key"),
        ("amplitude", 400, b'{"code":400,"error":"missing events"}', ""),
        ("posthog", 200, b'{"status":1,"quota_limited":["events"]}', "QUOTA: PostHog's quota"),
    ],
)
async def test_what_an_answer_hides_of_wrong_settings_is_told(
    slug: str, status: int, body: bytes, detail: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a detail: the harmless call is refused, as it may be."""
    async with Receiver() as receiver:
        path = tmp_path / "relay.toml"
        path.write_text(configured(slug, CASES[slug], receiver))
        receiver.default = answer(status, body=body)
        assert await checked(path) == (1 if detail else 0)
        (reached,) = json.loads(capsys.readouterr().out)["destinations"]
        assert reached["ok"] is not bool(detail)
        assert detail in reached["detail"]


async def test_the_console_tells_the_catalog_as_the_command_line_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver), tmp_path) as relay, aiohttp.ClientSession() as http:
        for path, words in (("catalog", ["catalog"]), ("catalog/hubspot", ["catalog", "hubspot"])):
            headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
            async with http.get(f"{relay.app.ui_url}/ui/api/{path}", headers=headers) as response:
                told: dict[str, Any] = await response.json()
            assert await asyncio.to_thread(main, [*words, "--json"]) == 0
            assert told == json.loads(capsys.readouterr().out)
        async with http.get(f"{relay.app.ui_url}/ui/api/catalog/nope", headers=headers) as response:
            assert response.status == 404
