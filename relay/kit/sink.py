"""Sinks: destinations that write to a system of their own instead of asking for HTTP requests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from relay.base.clock import Clock
from relay.base.event import Event
from relay.errors import DeliveryError, Misconfigured

Connect = Callable[[str, int], Awaitable[Any]]
"""Host and port to a connected, non-blocking socket, behind the address guard of the destination. Raises Misconfigured or Retryable."""


async def no_network(host: str, port: int) -> Any:
    """The `connect` of a context without a network."""
    raise Misconfigured(f"there is no network to reach {host}:{port}")


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What relay hands to a sink when it opens."""

    clock: Clock
    folder: Path
    """The data folder; a local archive lies below it."""
    source_slugs: Callable[[str], str]
    """The slug of a source id."""
    connect: Connect = no_network


class Sink(Protocol):
    """Writes events; never used by two callers at once."""

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Store the events, each with its seq in the log; returns after they are safe, with one result per event (None: stored)."""
        ...

    async def tick(self) -> None:
        """Called about once a second while idle: roll what is old."""
        ...

    async def close(self) -> None:
        """Finish what is open; calling it twice is harmless."""
        ...


OpenSink = Callable[[dict[str, Any], SinkContext], Sink]
