"""Sinks: destinations that write to a system of their own instead of asking for HTTP requests; archives: those that can be read back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from relay.base.clock import Clock
from relay.base.event import Event
from relay.errors import DeliveryError, Misconfigured, Permanent
from relay.kit.request import Request, Response
from relay.kit.subjects import Subjects

T = TypeVar("T")

EVERY_CALL: Final = 'type = "track" or type = "identify" or type = "page" or type = "screen" or type = "group" or type = "alias"'
"""The trigger of the sinks that take whatever comes."""

Connect = Callable[[str, int], Awaitable[Any]]
"""Host and port to a connected, non-blocking socket, behind the address guard of the destination. Raises Misconfigured or Retryable."""


async def no_network(host: str, port: int) -> Any:
    """The `connect` of a context without a network."""
    raise Misconfigured(f"there is no network to reach {host}:{port}")


Send = Callable[[Request], Awaitable[Response]]
"""A request to its answer, as `Transport.send`: for systems that speak HTTP."""


async def no_transport(request: Request) -> Response:
    """The `send` of a context without a network."""
    raise Misconfigured("there is no network to send a request")


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What relay hands to a sink when it opens."""

    clock: Clock
    folder: Path
    """The data folder; a local archive lies below it."""
    source_slugs: Callable[[str], str]
    """The slug of a source id."""
    connect: Connect = no_network
    send: Send = no_transport
    exclude: tuple[str, ...] = ()
    """Of a warehouse: tables, and columns as `table.column`, that are not written."""


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


@runtime_checkable
class Filing(Protocol):
    """A sink that holds files open. Unlike the rest of a sink this may be called while it writes."""

    async def finish(self) -> None:
        """Finish every open file; what comes later opens others."""
        ...


async def store_in_halves(items: Sequence[T], store: Callable[[Sequence[T]], Awaitable[None]]) -> list[DeliveryError | None]:
    """Store all at once; when that is refused (Permanent), in halves, until what is refused stands alone: that is its own error."""
    try:
        await store(items)
        return [None] * len(items)
    except Permanent as refusal:
        if len(items) == 1:
            return [refusal]
    middle = len(items) // 2
    return [*await store_in_halves(items[:middle], store), *await store_in_halves(items[middle:], store)]


OpenSink = Callable[[dict[str, Any], SinkContext], Sink]


@dataclass(frozen=True, slots=True)
class Span:
    """Which stored events: received from `since_s` on and before `until_s` (0: no bound), of these sources (ids)."""

    sources: tuple[str, ...]
    since_s: float = 0.0
    until_s: float = 0.0
    after: str = ""
    """The mark of the last page that was dealt with; empty: from the beginning."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events that follow each other, each with the seq it had in the log, and the mark behind the last of them."""

    events: list[tuple[int, Event]]
    mark: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a span holds, told from names and lists, without reading the events."""

    events: int
    bytes: int
    """As stored."""
    files: int
    exact: bool
    """False: files at the edges hold events outside of the span, or do not tell how many they hold; then there are at most so many."""


class Eraser(Protocol):
    """Finds and deletes what a system keeps of users. Raises Retryable or Misconfigured as a sink's write does."""

    async def find(self, users: Subjects) -> int:
        """How much is kept of them: events, or rows of tables."""
        ...

    async def erase(self, users: Subjects) -> int:
        """Delete it, and nothing else; returns how much. May be called again after it broke off anywhere."""
        ...

    async def close(self) -> None: ...


class Archive(Eraser, Protocol):
    """What an archive stored, read back. Nothing is ever written by it but by `erase`. Raises as an Eraser does."""

    async def count(self, span: Span) -> Estimate: ...

    def read(self, span: Span) -> AsyncIterator[Page]:
        """The events hour by hour, within an hour by seq over all sources; what lies there twice comes once. Bounded in memory."""
        ...


OpenArchive = Callable[[dict[str, Any], SinkContext], Archive]
OpenEraser = Callable[[dict[str, Any], SinkContext, Sequence[str]], Eraser]
"""The last argument: the slugs of the destination's sources."""
