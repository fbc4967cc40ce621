"""Segment's Node client, as npm brings it by the lock file beside this test, against a real relay."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.node import NODE, run
from tests.support.process import RelayProcess
from tests.support.sdk import TYPES, WRITE_KEY, arrivals, assert_same, assert_times, relay_with_receiver

HERE = Path(__file__).parent


async def talk(folder: Path, relay: RelayProcess, calls: str, *, skew_ms: int = 0, key: str = WRITE_KEY) -> tuple[list[dict[str, Any]], list[Any]]:
    """Let the client make the calls; returns the messages it put on the wire, and its errors."""
    command = [str(NODE), str(HERE / "client.js"), str(folder), relay.tracking_url, key, calls, str(skew_ms)]
    code, out, err = await run(command, folder, timeout_s=40)
    assert (code, err) == (0, "")
    told = json.loads(out)
    return [message for body in told["sent"] for message in body["batch"]], told["errors"]


def test_the_client_is_the_one_we_promise_to_support(client_folder: Path) -> None:
    package = json.loads((client_folder / "node_modules/@segment/analytics-node/package.json").read_text())
    assert package["version"] == "3.1.0"


async def test_all_six_calls_arrive_as_they_were_made(tmp_path: Path, client_folder: Path) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started = datetime.now(UTC)
        sent, errors = await talk(client_folder, relay, "six")
        assert errors == []
        got = await arrivals(receiver, 6)
        assert {event["type"] for event in got} == {message["type"] for message in sent} == TYPES
        assert_same(sent, got)
        for event in got:
            assert event["context"]["library"] == {"name": "@segment/analytics-node", "version": "3.1.0"}
            assert_times(event, started=started)


@pytest.mark.parametrize("skew", [timedelta(hours=3), timedelta(days=-40)], ids=["fast", "slow"])
async def test_a_wrong_clock_on_the_sending_machine_is_corrected(tmp_path: Path, client_folder: Path, skew: timedelta) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started = datetime.now(UTC)
        sent, errors = await talk(client_folder, relay, "six", skew_ms=int(skew.total_seconds() * 1000))
        assert errors == []
        got = await arrivals(receiver, 6)
        assert_same(sent, got)
        for event in got:
            assert abs(datetime.fromisoformat(event["originalTimestamp"]) - skew - started) < timedelta(seconds=30)
            assert_times(event, started=started)


async def test_an_import_of_old_events_keeps_their_dates(tmp_path: Path, client_folder: Path) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started = datetime.now(UTC)
        _, errors = await talk(client_folder, relay, "backdated")
        assert errors == []
        (event,) = await arrivals(receiver, 1)
        assert_times(event, started=started, ago=timedelta(days=400))


async def test_a_wrong_write_key_is_told_at_once(tmp_path: Path, client_folder: Path) -> None:
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        _, errors = await talk(client_folder, relay, "backdated", key="wk_wrong")
        assert errors
        assert receiver.requests == []
