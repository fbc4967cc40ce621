"""The sink of the archive: sorts events by source and hour, appends, rolls, and does not write twice what a crash made relay send again.

All file work runs in a thread, one call at a time. An event that was stored shortly before relay stopped may come again after the start;
it is known by its seq and left out, exactly: never by comparing with the newest seq, as a retried event comes late with a lower one.
"""

import asyncio
import errno
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from relay.destinations.archive.files import PART, OpenFile, make_folder, meaning_of, newest_seqs, recover
from relay.errors import DeliveryError
from relay.kit.members import Codec, seqs_of
from relay.kit.shelf import Numbered, by_source_and_hour, folder_of, line_of
from relay.kit.sink import SinkContext

log = structlog.get_logger("relay.destinations")

LATE_S: Final = 5.0
"""How long after the hour's end an idle file stays open for its last events."""
REPEATED_EVENTS: Final = 4_000
"""A crash repeats at most what was in flight or not yet committed: 1,000 outcomes and the batches in flight."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the archive lies, and when a file is finished."""

    root: Path
    roll_bytes: int
    roll_s: float
    codec: Codec | None
    """None: no compression."""


class ArchiveSink:
    """Writes events to files; never used by two callers at once."""

    def __init__(self, layout: Layout, context: SinkContext) -> None:
        self._layout = layout
        self._clock = context.clock
        self._slug_of = context.source_slugs
        self._open: dict[str, OpenFile] = {}
        self._stored: dict[str, set[int]] = {}
        """Per source that was looked at: seqs stored by an earlier run that may come again."""
        self._one_at_a_time = threading.Lock()
        """A cancelled caller leaves its thread running; the next call waits for it."""

    async def write(self, events: Sequence[Numbered]) -> list[DeliveryError | None]:
        """Store the events; returns after fsync, with one result per event (None: stored)."""
        return await asyncio.to_thread(self._write, events)

    async def tick(self) -> None:
        """Finish files that are old, or whose hour is over."""
        if any(self._is_due(file) for file in list(self._open.values())):
            await asyncio.to_thread(self._roll, only_due=True)

    async def finish(self) -> None:
        """Finish every open file, after the write in progress."""
        await asyncio.to_thread(self._roll, only_due=False)

    async def close(self) -> None:
        """Finish every open file; calling it twice is harmless."""
        await self.finish()

    def _write(self, events: Sequence[Numbered]) -> list[DeliveryError | None]:
        results: list[DeliveryError | None] = [None] * len(events)
        with self._one_at_a_time:
            for (slug, hour), positions in by_source_and_hour(events, self._slug_of):
                try:
                    self._store(slug, hour, [events[position] for position in positions])
                except OSError as error:
                    self._give_up(slug)
                    failure = meaning_of(error)
                    for position in positions:
                        results[position] = failure
        return results

    def _store(self, slug: str, hour: int, events: Sequence[Numbered]) -> None:
        repeated = self._look_back(slug)
        fresh = [numbered for numbered in events if numbered[0] not in repeated]
        repeated.difference_update(seq for seq, _ in events)
        if not fresh:
            return
        file = self._open.get(slug)
        if file is not None and (file.hour != hour or self._is_due(file, writing=True)):
            self._open.pop(slug).finish()
            file = None
        if file is None:
            folder = self._folder(slug, hour)
            file = self._open[slug] = OpenFile.create(folder, fresh[0][0], hour, self._clock.monotonic(), self._layout.codec)
        file.append([line_of(event) for _, event in fresh], [seq for seq, _ in fresh], [event.received_ms for _, event in fresh])
        if file.tally.raw_bytes >= self._layout.roll_bytes:
            self._open.pop(slug).finish()

    def _look_back(self, slug: str) -> set[int]:
        """Before the first write to a source: finish what a crash left open, and learn what is stored."""
        known = self._stored.get(slug)
        if known is None:
            top = self._layout.root / f"source={slug}"
            known = newest_seqs(top, REPEATED_EVENTS)
            for part in sorted(top.glob(f"date=*/hour=*/*{PART}")):
                known.update(seqs_of(recover(part)))
            self._stored[slug] = known
        return known

    def _folder(self, slug: str, hour: int) -> Path:
        folder = self._layout.root / folder_of(slug, hour)
        if not folder.resolve().is_relative_to(self._layout.root.resolve()):
            raise OSError(errno.ELOOP, "a link leads out of the archive", str(folder))
        make_folder(folder)
        return folder

    def _is_due(self, file: OpenFile, *, writing: bool = False) -> bool:
        old = self._clock.monotonic() - file.opened_at >= self._layout.roll_s
        return old or (not writing and self._clock.now() >= (file.hour + 1) * 3600 + LATE_S)

    def _roll(self, *, only_due: bool) -> None:
        with self._one_at_a_time:
            for slug, file in list(self._open.items()):
                if only_due and not self._is_due(file):
                    continue
                try:
                    self._open.pop(slug).finish()
                except OSError as error:
                    # Its events are safe; the next write to this source, or the next start, gives it its name.
                    self._stored.pop(slug, None)
                    log.warning("archive.roll_failed", source=slug, code=errno.errorcode.get(error.errno or 0, ""))

    def _give_up(self, slug: str) -> None:
        """After a failed write: let go of the file; the next write to the source finishes it as after a crash."""
        file = self._open.pop(slug, None)
        if file is not None:
            file.close()
        self._stored.pop(slug, None)
