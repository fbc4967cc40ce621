"""Dry runs: in the running relay before a change is saved, and by `relay diff` beside it or without it; from the log and the archive."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from relay.base import jsonio
from relay.base.event import event_of
from tests.support.app import Running, running, source, table, webhook
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

PAID = {"name": "paid", "action": "send", "trigger": 'type = "track" and event = "Paid"'}
SOLD = PAID | {"trigger": 'type = "track" and event = "Sold"'}


async def ask(relay: Running, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {relay.app.cli_token}"}
    async with aiohttp.request(method, f"{relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as response:
        return response.status, await response.json()


async def finished(relay: Running, job: dict[str, Any]) -> dict[str, Any]:
    async def done() -> Any:
        _, told = await ask(relay, "GET", f"diff/{job['id']}")
        return told if told["status"] != "running" else None

    told: dict[str, Any] = await eventually(done, 30)
    return told


async def fill(relay: Running, count: int) -> None:
    """Straight into the log: half of the events are Paid, a quarter Sold."""
    names, now_ms = ("Paid", "Paid", "Sold", "Other"), int(time.time() * 1000)
    for first in range(0, count, 500):
        made = []
        for number in range(first, min(count, first + 500)):
            payload = {"type": "track", "event": names[number % 4], "messageId": f"d{number}", "userId": f"u{number}", "properties": {"n": number}}
            made.append(event_of(payload, "web", now_ms, jsonio.dumps(payload)))
        await relay.app.outbox.append(made)


async def test_a_change_is_tried_on_stored_events_before_it_is_saved(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver, PAID) + webhook("all", receiver), tmp_path) as relay:
        await fill(relay, 2_000)
        version = relay.app.current.compiled.version
        status, job = await ask(relay, "POST", "diff", {"changes": {"destinations": {"orders": {"mapping": [SOLD]}}}, "since_s": 0})
        assert (status, job["status"]) == (202, "running")
        told = await finished(relay, job)
        assert (told["status"], told["read"], told["total"], told["partial"]) == ("finished", 2_000, 2_000, False)
        assert (told["dropped"], told["added"]) == ({"NO_MATCHING_MAPPING": 1_000}, {"NO_MATCHING_MAPPING": 500})
        assert (told["unchanged"], told["changed"], told["requests"]) == (500 + 2_000, 0, 500)
        assert [one["slug"] for one in told["destinations"]] == ["orders", "all"]
        sample = told["destinations"][0]["samples"][0]
        assert sample["event_id"] == "e1"
        assert (await ask(relay, "GET", f"events/{sample['event_id']}"))[1]["message_id"] == sample["message_id"]
        assert relay.app.current.compiled.version == version
        await relay.settled("orders", "all")
        assert receiver.count == 3_000, "nothing was sent that is not configured"


async def test_only_one_destination_and_only_what_came_since(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver) + webhook("all", receiver), tmp_path) as relay:
        await fill(relay, 100)
        changes = {"destinations": {"orders": {"enabled": False}, "all": {"enabled": False}}}
        _, job = await ask(relay, "POST", "diff", {"changes": changes, "since_s": 0, "destination": "all"})
        told = await finished(relay, job)
        assert (told["dropped"], [one["slug"] for one in told["destinations"]]) == ({"destination_disabled": 100}, ["all"])
        _, job = await ask(relay, "POST", "diff", {"changes": changes, "since_s": time.time() + 60})
        assert (await finished(relay, job))["read"] == 0


async def test_one_at_a_time_and_a_cancelled_one_stays_to_be_seen(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver), tmp_path) as relay:
        await fill(relay, 5_000)
        order = {"changes": {"destinations": {"orders": {"mapping": [SOLD]}}}, "since_s": 0}
        _, job = await ask(relay, "POST", "diff", order)
        status, refused = await ask(relay, "POST", "diff", order)
        assert (status, refused["error"]["code"]) == (409, "busy")
        status, told = await ask(relay, "DELETE", f"diff/{job['id']}")
        assert (status, told["status"]) == (200, "cancelled")
        assert told["read"] < 5_000
        assert (await ask(relay, "GET", f"diff/{job['id']}"))[1]["read"] == told["read"]
        _, second = await ask(relay, "POST", "diff", order)
        assert (await finished(relay, second))["read"] == 5_000
        assert (await ask(relay, "GET", f"diff/{job['id']}"))[0] == 404


async def test_a_dry_run_that_runs_does_not_keep_relay_from_stopping(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver), tmp_path) as relay:
        await fill(relay, 5_000)
        await ask(relay, "POST", "diff", {"changes": {"destinations": {"orders": {"mapping": [SOLD]}}}, "since_s": 0})
        await relay.stop()


async def test_bad_changes_are_refused_with_their_place(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver), tmp_path) as relay:
        wrong = {"destinations": {"orders": {"mapping": [PAID | {"trigger": "type ="}]}, "nobody": {}}, "sources": {"web": {"plan": 3}}}
        status, answer = await ask(relay, "POST", "diff", {"changes": wrong, "since_s": 0})
        assert (status, answer["error"]["code"]) == (400, "config")
        assert {one["file"] for one in answer["error"]["problems"]} >= {"destinations.nobody", "sources.web.plan"}
        for body in ({"changes": []}, {"changes": {}, "since": 1}, {"changes": {}, "since_s": "x"}):
            assert (await ask(relay, "POST", "diff", body))[0] == 400
        status, _ = await ask(relay, "POST", "diff", {"changes": {}, "since_s": 0, "destination": "nobody"})
        assert status == 404


def relay_diff(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "relay", "diff", *words], cwd=folder, capture_output=True, text=True, timeout=120)


async def test_the_command_compares_beside_a_running_relay_and_without_it(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        now, new = source() + webhook("orders", receiver, PAID, settings={"sharedSecret": "hidden-secret"}), tmp_path / "new.toml"
        same = tmp_path / "same.toml"
        same.write_text(now)
        new.write_text(source() + webhook("orders", receiver, SOLD, settings={"sharedSecret": "hidden-secret"}))
        async with RelayProcess(tmp_path, now) as process:
            names = ("Paid", "Sold", "Paid") * 50
            batch = [{"type": "track", "event": name, "userId": "u1", "messageId": f"m{number}"} for number, name in enumerate(names)]
            body = {"batch": batch, "writeKey": "wk_web"}
            async with aiohttp.request("POST", f"{process.tracking_url}/v1/batch", json=body) as answer:
                assert answer.status == 200
            data = ("--data", str(process.data))

            async def run(*words: str) -> subprocess.CompletedProcess[str]:
                return await asyncio.to_thread(relay_diff, tmp_path, *words, *data)

            said = await run("--config", str(same))
            assert (said.returncode, said.stderr) == (0, "")
            assert "150 events" in said.stdout
            said = await run("--config", str(new), "--json")
            told = json.loads(said.stdout)
            assert said.returncode == 1
            assert (told["read"], told["dropped"], told["added"]) == (150, {"NO_MATCHING_MAPPING": 100}, {"NO_MATCHING_MAPPING": 50})
            assert (told["before"], told["after"]) == ("version 1", str(new))
            counts = ["read", "unchanged", "dropped", "added", "changed", "requests", "destinations"]
            assert list(told) == ["before", "after", "since_s", "until_s", "archived", "partial", *counts]
            assert list(told["destinations"][0]) == ["slug", "name", "state", *counts[1:-1], "samples"]
            keys = {"kind", "code", "event_id", "message_id", "type", "name", "was", "now", "why", "changes"}
            assert set(told["destinations"][0]["samples"][0]) == keys
            said = await run("--config", str(new))
            assert (said.returncode, "orders: 100 no longer sent, NO_MATCHING_MAPPING" in said.stdout) == (1, True)
            assert "hidden-secret" not in said.stdout
            assert (await run("--config", str(new), "--against", str(new))).returncode == 0
            said = await run("--config", str(new), "--limit", "30", "--json")
            assert json.loads(said.stdout)["read"] == 30
            assert (await run("--config", str(new), "--until", "1d", "--since", "2d")).returncode == 4
            assert (await run("--config", str(new), "--destination", "nobody")).returncode == 4
            assert (await run("--config", str(new), "--source", "nobody")).returncode == 4
            (tmp_path / "bad.toml").write_text(now + "[nonsense]\n")
            said = await run("--config", str(tmp_path / "bad.toml"))
            assert (said.returncode, "bad.toml:" in said.stderr) == (78, True)
            assert await process.terminate() == 0
            said = await run("--config", str(new), "--json")
            assert json.loads(said.stdout)["dropped"] == {"NO_MATCHING_MAPPING": 100}
        assert (await asyncio.to_thread(relay_diff, tmp_path, "--config", str(new), "--data", str(tmp_path / "none"))).returncode == 74


async def test_what_the_log_no_longer_has_is_read_from_the_archive_each_event_once(tmp_path: Path) -> None:
    cold = table("destination", {"slug": "cold", "type": "archive", "settings": {"path": "cold"}})
    async with Receiver() as receiver:
        now = source() + webhook("orders", receiver, PAID) + cold
        async with running(now, tmp_path) as relay:
            await fill(relay, 1_000)
            await relay.settled("orders", "cold")
        with sqlite3.connect(tmp_path / "data" / "relay.db") as connection:
            connection.execute("DELETE FROM log WHERE seq <= 600 AND seq NOT BETWEEN 100 AND 199")
        connection.close()
        new = tmp_path / "new.toml"
        new.write_text(source() + webhook("orders", receiver, SOLD) + cold)
        said = await asyncio.to_thread(relay_diff, tmp_path, "--config", str(new), "--data", str(tmp_path / "data"), "--json")
        told = json.loads(said.stdout)
        assert (told["read"], told["archived"], told["partial"]) == (1_000, 500, False)
        assert told["dropped"] == {"NO_MATCHING_MAPPING": 500}
        async with running(now, tmp_path) as relay:
            _, job = await ask(relay, "POST", "diff", {"changes": {"destinations": {"orders": {"mapping": [SOLD]}}}, "since_s": 1})
            told = await finished(relay, job)
            assert (told["status"], told["read"], told["archived"], told["dropped"]) == ("finished", 1_000, 500, {"NO_MATCHING_MAPPING": 500})
        new.write_text(source() + webhook("orders", receiver, SOLD))
        (tmp_path / "old.toml").write_text(source() + webhook("orders", receiver, PAID))
        words = ("--config", str(new), "--against", str(tmp_path / "old.toml"), "--data", str(tmp_path / "data"), "--json")
        said = await asyncio.to_thread(relay_diff, tmp_path, *words)
        told = json.loads(said.stdout)
        assert (told["read"], told["partial"], "no archive" in said.stderr) == (500, True, True)
