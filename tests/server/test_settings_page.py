"""What an admin reads about this relay: every setting with its origin and no secret, and who did what."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.app import Seams, ServeOptions, build
from relay.config.settings import SPECS
from tests.support.app import Running, running, source, webhook
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually

CANARY = "canary-5d1f"


@dataclass
class Asker:
    """Asks the console with one token."""

    http: aiohttp.ClientSession
    url: str
    token: str

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(method, f"{self.url}/ui/api/{path}", json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status, text
            return json.loads(text)

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.ask("GET", path, status=status)

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return await self.ask("POST", path, body or {}, status)


@dataclass
class Site:
    """A running relay, its owner's token, and its receiver."""

    relay: Running
    owner: Asker
    receiver: Receiver

    async def as_role(self, role: str) -> Asker:
        token = (await self.owner.post("tokens", {"name": role, "role": role}, 201))["token"]
        return Asker(self.owner.http, self.owner.url, token)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Receiver() as receiver:
        config = f'[ui]\nmask = ["password"]\n\n[metrics]\ntoken = "{CANARY}"\n' + source() + webhook("orders", receiver)
        async with running(config, tmp_path, settings=(f"ui.token={CANARY}",)) as relay, aiohttp.ClientSession() as http:
            yield Site(relay, Asker(http, relay.app.ui_url, relay.app.cli_token), receiver)


async def test_every_setting_tells_where_it_comes_from(site: Site, tmp_path: Path) -> None:
    told = await site.owner.get("settings")
    rows = {f"{row['table']}.{row['name']}": row for row in told["settings"]}
    assert list(rows) == [spec.path for spec in SPECS]
    path = tmp_path / "relay.toml"
    assert rows["ui.mask"] == rows["ui.mask"] | {"value": ["password"], "origin": f"{path}:2", "secret": False}
    assert rows["ui.mask"]["default"] == ["password", "token", "secret", "authorization"]
    assert (rows["store.keep_h"]["value"], rows["store.keep_h"]["unit"], rows["store.keep_h"]["origin"]) == (72, "h", "default")
    assert rows["log.level"]["origin"] == "--set"
    for name in ("ui.token", "metrics.token"):
        assert (rows[name]["value"], rows[name]["default"], rows[name]["secret"]) == ("•••", "", True)
    assert told["files"] == [str(path)]
    assert CANARY not in json.dumps(told)


async def test_it_tells_what_it_runs_on_and_how_full_it_is(site: Site, tmp_path: Path) -> None:
    await site.relay.track_many(3)
    told = await site.owner.get("settings")
    assert told["database"]["events"] == 3
    assert told["database"]["keep_h"] == 72
    assert told["started_s"] - 60 < told["database"]["oldest_s"] < told["started_s"] + 600
    assert min(told["database"]["bytes"], told["database"]["free_bytes"]) > 0
    assert told["workspace"]["version"] == 1
    assert [one["version"] for one in told["versions"]] == [1]
    assert (told["data_dir"], told["workspace"]["created_by"]) == (str(tmp_path / "data"), "start")
    assert all(told[name] for name in ("version", "python", "sqlite", "platform"))


async def test_a_variable_of_the_environment_is_named(tmp_path: Path) -> None:
    options = ServeOptions(None, tmp_path / "data", "127.0.0.1:0", "127.0.0.1:0", ("log.level=warning",))
    app = build(options, environment={"RELAY__STORE__KEEP_H": "5"}, seams=Seams())
    await app.start()
    try:
        async with aiohttp.ClientSession() as http:
            told = await Asker(http, app.ui_url, app.cli_token).get("settings")
    finally:
        await app.stop()
    (row,) = [row for row in told["settings"] if row["name"] == "keep_h"]
    assert (row["value"], row["origin"]) == (5, "RELAY__STORE__KEEP_H")


async def test_every_order_leaves_a_record_of_who_did_what(site: Site) -> None:
    ops = await site.as_role("operator")
    site.receiver.by_path["/orders"] = answer(400)
    await site.relay.track("u1")
    await site.relay.settled("orders")
    await ops.post("destinations/orders/hold")
    await ops.post("destinations/orders/resume")
    await ops.post("dead/resend", {"to": "orders"})
    await ops.post("dead/discard", {"to": "orders"})
    await ops.post("replay", {"to": "orders", "since_s": 1}, 202)
    await ops.post("reload")
    await ops.post("links", status=201)
    site.relay.configure("[stor]\n")
    await ops.post("reload", status=400)
    rows = (await ops.get("audit"))["audit"]
    assert [(row["action"], row["subject"]) for row in reversed(rows) if row["operator"] == "operator"] == [
        ("destination.hold", "orders"),
        ("destination.resume", "orders"),
        ("dead.resend", "orders"),
        ("dead.discard", "orders"),
        ("replay.start", "orders"),
        ("workspace.reload", "workspace 1"),
        ("session.link", ""),
        ("workspace.reload", "refused"),
    ]
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    page = (await ops.get(f"audit?limit=2&before={rows[1]['id']}"))["audit"]
    assert page == rows[2:4]
    await (await site.as_role("viewer")).get("audit", 403)


async def test_a_dead_letters_secrets_stay_here_and_a_viewer_sees_no_request(site: Site) -> None:
    site.receiver.by_path["/orders"] = answer(400)
    await site.relay.track("u1", password=CANARY, coupon="SUMMER")

    async def is_dead() -> bool:
        assert (await site.owner.get("dead"))["total"] == 1
        return True

    await eventually(is_dead, 10)
    (letter,) = (await site.owner.get("dead"))["dead"]
    assert "SUMMER" in letter["detail"]["request"]["body"]
    assert CANARY not in json.dumps(letter)
    (letter,) = (await (await site.as_role("viewer")).get("dead"))["dead"]
    assert (letter["detail"], letter["code"]) == (None, "400")
