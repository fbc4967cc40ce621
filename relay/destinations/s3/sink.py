"""The sink: each batch becomes one object for each source and hour, and counts as delivered when the store has said 200 to all of its own.

An object's name tells what is in it: seqs, number of events, checksum of its lines. So the same events written again overwrite themselves,
and others never do. After a crash the same events may come again in other batches: for the first ones after a start, the objects whose
seqs overlap are looked at, and what they hold is left out.
"""

import asyncio
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from relay.base.event import Event
from relay.destinations.s3.store import Store
from relay.errors import DeliveryError, Misconfigured
from relay.kit.members import Codec
from relay.kit.shelf import Numbered, by_source_and_hour, folder_of, line_of, lines_of, seqs_named
from relay.kit.sink import SinkContext

log = structlog.get_logger("relay.destinations")

REPEATED_EVENTS: Final = 4_000
"""A crash repeats at most what was in flight or not yet committed: 1,000 outcomes and the batches in flight."""
AT_ONCE: Final = 4
"""Objects of one batch that are written side by side."""


class ObjectSink:
    """Writes events to objects; never used by two callers at once."""

    def __init__(self, store: Store, codec: Codec, context: SinkContext) -> None:
        self._store = store
        self._codec = codec
        self._slug_of = context.source_slugs
        self._watches: dict[str, _Watch] = {}
        self._may_look = True

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Store the events; one result per event (None: the store has it)."""
        results: list[DeliveryError | None] = [None] * len(events)
        room = asyncio.Semaphore(AT_ONCE)

        async def store(slug: str, hour: int, positions: Sequence[int]) -> None:
            async with room:
                try:
                    await self._put(slug, folder_of(slug, hour), [events[position] for position in positions])
                except DeliveryError as error:
                    for position in positions:
                        results[position] = error

        async with asyncio.TaskGroup() as group:
            for (slug, hour), positions in by_source_and_hour(events, self._slug_of):
                group.create_task(store(slug, hour, positions))
        return results

    async def tick(self) -> None:
        """Nothing waits here: the batch does."""

    async def close(self) -> None:
        """Close the connections; calling it twice is harmless."""
        await self._store.close()

    async def _put(self, slug: str, folder: str, events: Sequence[Numbered]) -> None:
        watch = self._watches.setdefault(slug, _Watch())
        repeated = await self._repeated(watch, folder, {seq for seq, _ in events})
        fresh = sorted((seq, line_of(event)) for seq, event in events if seq not in repeated)
        if fresh:
            seqs = [seq for seq, _ in fresh]
            lines = b"\n".join(line for _, line in fresh) + b"\n"
            key = f"{folder}/{seqs[0]}-{seqs[-1]}.{len(seqs)}-{zlib.crc32(lines):08x}{self._codec.ending}"
            await self._store.put(key, await asyncio.to_thread(self._codec.pack, lines, seqs))
        watch.note(seq for seq, _ in events)

    async def _repeated(self, watch: "_Watch", folder: str, seqs: set[int]) -> set[int]:
        """Which of these an earlier run has written. What came in this run already (now as a replay) is to be written again."""
        seqs = seqs - watch.come
        if watch.is_over or not self._may_look or not seqs:
            return set()
        try:
            return seqs & await self._written(folder, sorted(seqs))
        except Misconfigured as error:
            if error.status != 403:
                raise
            self._may_look = False
            log.warning("s3.cannot_look_back", reason=error.message)
            return set()

    async def _written(self, folder: str, seqs: Sequence[int]) -> set[int]:
        """What the objects of a folder hold whose range covers one of these seqs, which are sorted."""
        written: set[int] = set()
        async for key, _ in self._store.keys(f"{folder}/"):
            name = key.rpartition("/")[2]
            first, last = seqs_named(name) or (1, 0)
            if bisect_left(seqs, first) < bisect_right(seqs, last):
                try:
                    written.update(seq for seq, _ in lines_of(await self._store.get(key), name))
                except ValueError:
                    log.warning("s3.damaged_object", key=key)
        return written


class _Watch:
    """The first events of a source after a start: those that may have been written before."""

    def __init__(self) -> None:
        self.come: set[int] = set()
        self.is_over = False

    def note(self, seqs: Iterable[int]) -> None:
        if not self.is_over:
            self.come.update(seqs)
        if len(self.come) >= REPEATED_EVENTS:
            self.is_over = True
            self.come.clear()
