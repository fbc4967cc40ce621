"""What the tests of the real clients share: a relay with a receiver behind it, and the field by field comparison of sent and received."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.process import RelayProcess
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

WRITE_KEY = "wk_sdk"
TYPES = {"identify", "track", "page", "screen", "group", "alias"}
CONFIG = """
[[source]]
slug = "app"
write_key = "{key}"

[[destination]]
slug = "orders"
type = "webhook"
sources = ["app"]
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/hook" }}
"""
# What relay may add to a message or write anew; everything else must arrive as it left.
TIMES = {"timestamp", "originalTimestamp", "sentAt", "receivedAt"}
ADDED = {"version", "channel"}
IDS = ("userId", "anonymousId", "groupId", "previousId")


@asynccontextmanager
async def relay_with_receiver(folder: Path) -> AsyncIterator[tuple[RelayProcess, Receiver]]:
    """A running relay whose only destination is the receiver, with the presets of the webhook: all six calls."""
    async with Receiver() as receiver, RelayProcess(folder, CONFIG.format(key=WRITE_KEY, port=receiver.port)) as relay:
        yield relay, receiver


async def arrivals(receiver: Receiver, count: int, timeout_s: float = 15.0) -> list[dict[str, Any]]:
    """The events that the receiver got, once there are `count`; more than that is a failure too."""
    await eventually(lambda: len(receiver.requests) >= count, timeout_s)
    events: list[dict[str, Any]] = [request.json for request in receiver.requests]
    assert len({event["messageId"] for event in events}) == len(events) == count
    return events


def assert_same(sent: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], *, context_may_grow: bool = False) -> None:
    """Every message that left the client arrived, under its own id, with every field as it was."""
    by_id = {event["messageId"]: event for event in got}
    assert set(by_id) == {message["messageId"] for message in sent}
    for message in sent:
        event = by_id[message["messageId"]]
        expected = {key: value for key, value in message.items() if key not in TIMES | {"writeKey", "context"} and not (key in IDS and value is None)}
        assert {key: value for key, value in event.items() if key not in TIMES | ADDED | {"context"}} == expected
        context = {key: value for key, value in event["context"].items() if key in message["context"] or not context_may_grow}
        assert context == message["context"]
        assert event["context"]["library"] == message["context"]["library"]


def assert_times(event: Mapping[str, Any], *, started: datetime, ago: timedelta = timedelta(0)) -> None:
    """All four times are there in relay's form; `timestamp` is relay's clock minus how long before sending the event happened (`ago`)."""
    moments = {name: moment(event[name]) for name in TIMES}
    assert started - timedelta(seconds=1) <= moments["receivedAt"] <= datetime.now(UTC)
    took = moments["sentAt"] - moments["originalTimestamp"]
    assert abs(moments["receivedAt"] - took - moments["timestamp"]) <= timedelta(milliseconds=1)
    assert started - ago - timedelta(seconds=1) <= moments["timestamp"] <= datetime.now(UTC) - ago + timedelta(seconds=1)


def moment(text: str) -> datetime:
    """A time as relay writes it: UTC, milliseconds, `Z`."""
    assert len(text) == len("2026-11-25T09:53:22.017Z")
    assert text.endswith("Z")
    return datetime.fromisoformat(text)
