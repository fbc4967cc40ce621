"""How stored events lie in folders and files (or object names), and how they are read back in order. Pure; for archives of every kind.

A file lies in `source={slug}/date=YYYY-MM-DD/hour=HH/`, by the hour (UTC) at which relay received its events, and is named by the seqs it
holds: `{first}-{last}...`. One JSON message per line.
"""

import hashlib
import heapq
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from relay.base import jsonio
from relay.base.event import DELETED, Event, event_of
from relay.kit.members import Codec, codec_of, seqs_of, walk
from relay.kit.sink import Page, Span

HOUR_MS: Final = 3_600_000
PAGE_EVENTS: Final = 500
_SAFE_SLUG = re.compile(r"[a-z0-9_-]{1,64}")
_FOLDER = re.compile(r"source=([a-z0-9_-]{1,64})/date=(\d{4}-\d\d-\d\d)/hour=(\d\d)")
_NAME = re.compile(r"(\d{1,18})-(\d{1,18})(?:\.[0-9a-f-]+)?\.ndjson(?:\.gz|\.zst)?")

Numbered = tuple[int, Event]
Line = tuple[int, bytes]
"""A seq and the JSON of its event."""


def safe_slug(slug: str) -> str:
    """The slug as part of a path: safe by construction, and made so if it is not."""
    if _SAFE_SLUG.fullmatch(slug):
        return slug
    digest = hashlib.sha256(slug.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9_-]', '_', slug.lower())[:55]}-{digest}"


def folder_of(slug: str, hour: int) -> str:
    """Where the events of a (safe) slug and an hour since 1970 lie."""
    start = datetime.fromtimestamp(hour * 3600, UTC)
    return f"source={slug}/date={start:%Y-%m-%d}/hour={start:%H}"


def place_of(folder: str) -> tuple[str, int] | None:
    """Slug and hour of a folder; None: it is none of ours."""
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return None
    try:
        day = datetime.strptime(found[2], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found[1], int(day.timestamp()) // 3600 + int(found[3])


def seqs_named(name: str) -> tuple[int, int] | None:
    """First and last seq by the name of a finished file; None: it is none of ours."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def line_of(event: Event) -> bytes:
    """The event on one line, without its end. A line break in JSON can only stand between its parts, so a space means the same."""
    return event.body.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in event.body or b"\r" in event.body else event.body


def by_source_and_hour(events: Sequence[Numbered], slug_of: Callable[[str], str]) -> Iterable[tuple[tuple[str, int], list[int]]]:
    """Positions of events by (safe slug, hour received); of one source in the order of the hours. Tombstones are left out."""
    slugs: dict[str, str] = {}
    keyed = []
    for position, (_, event) in enumerate(events):
        if event.type != DELETED:
            slug = slugs.get(event.source_id) or slugs.setdefault(event.source_id, safe_slug(slug_of(event.source_id)))
            keyed.append((slug, event.received_ms // HOUR_MS, position))
    for key, group in groupby(sorted(keyed), key=lambda each: each[:2]):
        yield key, [position for *_, position in group]


def received_ms(payload: object, otherwise: int) -> int:
    """When relay received the message, by its own `receivedAt`."""
    text = payload.get("receivedAt") if isinstance(payload, dict) else None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    return round(at.timestamp() * 1000) if at is not None and at.tzinfo is not None else otherwise


def lines_of(data: bytes, name: str) -> list[Line]:
    """The lines of a whole finished file with their seqs, sorted. Raises ValueError when it is damaged.

    A file that does not know its seqs gets some between those of its name, in the order of its lines.
    """
    codec = codec_of(name)
    if codec is not None:
        members, lines = list(walk(data, codec)), list[Line]()
        if members and members[-1][0] == len(data):
            start = 0
            for end, runs in members:
                lines += member_lines(data[start:end], runs, codec)
                start = end
            return sorted(lines)
        data = codec.unpack(data)
    plain = [line for line in data.split(b"\n") if line]
    first, last = seqs_named(name) or (1, len(plain))
    steps = max(1, len(plain) - 1)
    return [(first + position * max(last - first, steps) // steps, line) for position, line in enumerate(plain)]


def member_lines(member: bytes, runs: Iterable[tuple[int, int]], codec: Codec) -> list[Line]:
    """The lines of one member, sorted by seq. Raises ValueError when it is damaged."""
    return sorted(zip(seqs_of(runs), codec.unpack(member).split(b"\n"), strict=False))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an hour that is read at once: no seq of it is below `first`; `load` brings its lines, sorted."""

    first: int
    source_id: str
    load: Callable[[], Awaitable[list[Line]]]


async def merged(pieces: Sequence[Piece]) -> AsyncIterator[tuple[int, bytes, str]]:
    """The lines of all pieces by seq, with their source; what lies there twice comes once. Holds only pieces that overlap."""
    waiting = sorted(pieces, key=lambda piece: piece.first, reverse=True)
    heap: list[tuple[int, str, bytes, int, list[Line]]] = []
    last: tuple[int, bytes] = (0, b"")
    count = 0
    while waiting or heap:
        while waiting and (not heap or waiting[-1].first <= heap[0][0]):
            piece = waiting.pop()
            lines = await piece.load()
            if lines:
                lines.reverse()
                seq, line = lines.pop()
                count += 1
                heapq.heappush(heap, (seq, piece.source_id, line, count, lines))
        if not heap:
            return
        seq, source_id, line, number, rest = heap[0]
        if rest:
            following, text = rest.pop()
            heapq.heapreplace(heap, (following, source_id, text, number, rest))
        else:
            heapq.heappop(heap)
        if (seq, line) != last:
            last = (seq, line)
            yield seq, line, source_id


def hours_of(span: Span) -> range:
    """The hours since 1970 in which events of the span may lie, from the one its mark is in."""
    first = max(int(span.since_s // 3600), _mark(span.after)[0])
    return range(first, 10**7 if not span.until_s else int(-(-span.until_s // 3600)))


async def pages(hours: AsyncIterator[tuple[int, Sequence[Piece]]], span: Span) -> AsyncIterator[Page]:
    """Pages of a span from the pieces of its hours, which come in order. A mark names hour and seq, so it outlives that files are renamed."""
    marked = _mark(span.after)
    until_ms = span.until_s * 1000 or float("inf")
    events: list[Numbered] = []
    hour = seen = 0
    async for hour, pieces in hours:
        async for seq, line, source_id in merged(pieces):
            if len(events) >= PAGE_EVENTS and seq != seen:
                yield Page(events, f"{hour}:{seen}")
                events = []
            if (hour, seq) <= marked:
                continue
            seen = seq
            if (event := _event(line, source_id, hour)) is not None and span.since_s * 1000 <= event.received_ms < until_ms:
                events.append((seq, event))
        if events:
            yield Page(events, f"{hour}:{seen}")
            events = []


def _event(line: bytes, source_id: str, hour: int) -> Event | None:
    """None: the line is no message of relay."""
    try:
        payload = jsonio.loads(line)
        return event_of(payload, source_id, received_ms(payload, hour * HOUR_MS), line)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _mark(text: str) -> tuple[int, int]:
    hour, _, seq = text.partition(":")
    return (int(hour), int(seq)) if hour.isdecimal() and seq.isdecimal() else (0, -1)
