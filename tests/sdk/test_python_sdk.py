"""Segment's Python client, as it is installed from PyPI, against a real relay."""

import asyncio
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.support.process import RelayProcess
from tests.support.sdk import TYPES, WRITE_KEY, arrivals, assert_same, assert_times, relay_with_receiver
from tests.support.waiting import eventually

SIGNED_UP = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
PRODUCTS = [{"product_id": "p-1", "price": 25.5, "quantity": 1}]


def new_client(relay: RelayProcess, failures: list[Any], **options: Any) -> Client:
    return Client(WRITE_KEY, host=relay.tracking_url, on_error=lambda error, batch: failures.append((error, batch)), **options)


def six_calls(client: Client) -> list[dict[str, Any]]:
    """Make them; returns the messages that the client made of them."""
    answers = [
        client.identify("user-1", {"email": "ada@example.com", "plan": "pro", "signedUpAt": SIGNED_UP}),
        client.track(
            "user-1",
            "Order Completed",
            {"order_id": "o-1", "revenue": 25.5, "currency": "EUR", "products": PRODUCTS, "note": "Žluťoučký 🐎", "nothing": None},
            context={"ip": "203.0.113.7", "userAgent": "made-up/1.0"},
            integrations={"All": True, "Mixpanel": False, "Amplitude": {"session_id": 1767323045678}},
        ),
        client.page("user-1", "Docs", "Install", {"url": "https://shop.example/docs", "path": "/docs"}),
        client.screen(anonymous_id="anon-1", category="Checkout", name="Cart", properties={"items": 2}),
        client.group("user-1", "group-1", {"name": "Initech", "employees": 42}),
        client.alias("anon-1", "user-1"),
    ]
    assert all(queued for queued, _ in answers)
    return [message for _, message in answers]


def as_json(message: dict[str, Any]) -> dict[str, Any]:
    """The client writes a datetime as text when it sends."""
    if "signedUpAt" in message.get("traits", {}):
        return {**message, "traits": {**message["traits"], "signedUpAt": "2026-01-02T03:04:05.678000+00:00"}}
    return message


async def close(client: Client) -> None:
    """Send what waits and end the client's threads, away from the loop that serves the receiver."""
    await asyncio.to_thread(client.shutdown)


def test_the_client_is_the_one_we_promise_to_support() -> None:
    assert version("segment-analytics-python") == "2.4.0"


@pytest.mark.parametrize("options", [{}, {"gzip": True}, {"sync_mode": True}], ids=["plain", "gzip", "sync"])
async def test_all_six_calls_arrive_as_they_were_made(tmp_path: Path, options: dict[str, Any]) -> None:
    failures: list[Any] = []
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started = datetime.now(UTC)
        client = new_client(relay, failures, **options)
        sent = await asyncio.to_thread(six_calls, client)
        if not options.get("sync_mode"):
            await close(client)
        got = await arrivals(receiver, 6)
        assert {event["type"] for event in got} == TYPES
        assert_same([as_json(message) for message in sent], got)
        for event in got:
            assert event["context"]["library"] == {"name": "analytics-python", "version": "2.4.0"}
            assert_times(event, started=started)
    assert failures == []


async def test_an_import_of_old_events_keeps_their_dates(tmp_path: Path) -> None:
    failures: list[Any] = []
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        started, ago = datetime.now(UTC), timedelta(days=400)
        client = new_client(relay, failures)
        client.track("user-1", "Order Completed", {"order_id": "o-1"}, timestamp=started - ago)
        await close(client)
        (event,) = await arrivals(receiver, 1)
        assert_times(event, started=started, ago=ago)
    assert failures == []


async def test_values_that_are_no_json_cost_no_event(tmp_path: Path) -> None:
    failures: list[Any] = []
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        client = new_client(relay, failures)
        client.track("user-1", "Odd", {"nan": float("nan"), "infinite": float("inf"), "cut": "a\ud83e", "large": 2**70})
        client.track("user-1", "Even", {"fine": 1})
        await close(client)
        odd, even = sorted(await arrivals(receiver, 2), key=lambda event: str(event["event"]), reverse=True)
        assert odd["properties"] == {"nan": None, "infinite": None, "cut": "a\ufffd", "large": float(2**70)}
        assert even["properties"] == {"fine": 1}
    assert failures == []


async def test_a_restart_of_relay_between_two_batches_loses_nothing(tmp_path: Path) -> None:
    failures: list[Any] = []
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        client = new_client(relay, failures)
        sent = [client.track("user-1", "Step", {"n": n})[1] for n in range(20)]
        await asyncio.to_thread(client.flush)
        assert await relay.terminate() == 0
        sent += [client.track("user-1", "Step", {"n": n})[1] for n in range(20, 40)]
        await relay.start()
        await close(client)
        await eventually(lambda: len({body["messageId"] for body in receiver.bodies}) >= len(sent), 20)
        assert {body["messageId"] for body in receiver.bodies} == {message["messageId"] for message in sent}
        assert [body["properties"]["n"] for body in receiver.bodies] == list(range(40))
    assert failures == []


async def test_a_wrong_write_key_is_told_at_once(tmp_path: Path) -> None:
    failures: list[Any] = []
    async with relay_with_receiver(tmp_path) as (relay, receiver):
        client = Client("wk_wrong", host=relay.tracking_url, on_error=lambda error, batch: failures.append(error))
        client.track("user-1", "Lost", {})
        await close(client)
        (error,) = failures
        assert "401" in str(error) or getattr(error, "status", None) == 401
        assert receiver.requests == []
