"""The sink of the archive: sorts events by source and hour, appends, rolls, and does not write twice what a crash made relay send again.

All file work runs in a thread, one call at a time. An event that was stored shortly before relay stopped may come again after the start;
it is known by its seq and left out, exactly: never by comparing with the newest seq, as a retried event comes late with a lower one.
"""

import asyncio
import errno
import hashlib
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import structlog

from relay.base.event import DELETED, Event
from relay.destinations.archive.files import PART, OpenFile, make_folder, newest_seqs, recover
from relay.destinations.archive.members import seqs_of
from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.kit.sink import SinkContext

log = structlog.get_logger("relay.destinations")

HOUR_MS: Final = 3_600_000
LATE_S: Final = 5.0
"""How long after the hour's end an idle file stays open for its last events."""
REPEATED_EVENTS: Final = 4_000
"""A crash repeats at most what was in flight or not yet committed: 1,000 outcomes and the batches in flight."""
_SAFE_SLUG = re.compile(r"[a-z0-9_-]{1,64}")
_SETTING_ERRORS: Final = frozenset((errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.EEXIST))

Numbered = tuple[int, Event]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the archive lies, and when a file is finished."""

    root: Path
    roll_bytes: int
    roll_s: float
    compress: bool


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

    async def close(self) -> None:
        """Finish every open file; calling it twice is harmless."""
        await asyncio.to_thread(self._roll, only_due=False)

    def _write(self, events: Sequence[Numbered]) -> list[DeliveryError | None]:
        results: list[DeliveryError | None] = [None] * len(events)
        with self._one_at_a_time:
            for (slug, hour), positions in self._groups(events):
                try:
                    self._store(slug, hour, [events[position] for position in positions])
                except OSError as error:
                    self._give_up(slug)
                    failure = _meaning(error)
                    for position in positions:
                        results[position] = failure
        return results

    def _groups(self, events: Sequence[Numbered]) -> Iterable[tuple[tuple[str, int], list[int]]]:
        """Positions of events by (source, hour received); of one source in the order of the hours, so that each file is opened once."""
        slugs: dict[str, str] = {}
        keyed = []
        for position, (_, event) in enumerate(events):
            if event.type != DELETED:
                slug = slugs.get(event.source_id) or slugs.setdefault(event.source_id, _safe(self._slug_of(event.source_id)))
                keyed.append((slug, event.received_ms // HOUR_MS, position))
        for key, group in groupby(sorted(keyed), key=lambda each: each[:2]):
            yield key, [position for *_, position in group]

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
            file = self._open[slug] = OpenFile.create(folder, fresh[0][0], hour, self._clock.monotonic(), self._layout.compress)
        file.append([_line(event) for _, event in fresh], [seq for seq, _ in fresh])
        if file.raw_bytes >= self._layout.roll_bytes:
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
        start = datetime.fromtimestamp(hour * 3600, UTC)
        folder = self._layout.root / f"source={slug}" / f"date={start:%Y-%m-%d}" / f"hour={start:%H}"
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


def _line(event: Event) -> bytes:
    # A line break in JSON can only stand between its parts, so a space means the same.
    return event.body.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in event.body or b"\r" in event.body else event.body


def _safe(slug: str) -> str:
    """The slug as part of a path: safe by construction, and made so if it is not."""
    if _SAFE_SLUG.fullmatch(slug):
        return slug
    digest = hashlib.sha256(slug.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9_-]', '_', slug.lower())[:55]}-{digest}"


def _meaning(error: OSError) -> DeliveryError:
    if error.errno in _SETTING_ERRORS:
        return Misconfigured(f"the archive cannot be written: {error.strerror}: {error.filename}", code="INVALID_SETTINGS")
    return Retryable(f"the archive cannot be written: {error.strerror}", code="EIO")
