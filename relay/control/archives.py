"""Replays from archives: which destinations can be read back, how much a span holds, and the jobs that run."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from relay.base.clock import Clock
from relay.control.operate import find_destination
from relay.delivery.archive_replay import ArchiveReplay
from relay.errors import DeliveryError, RequestError
from relay.kit.sink import Archive, Estimate, Span
from relay.outbox.interface import Outbox
from relay.outbox.ledger import destination_of
from relay.outbox.operations import patched
from relay.pipeline.compiled import CompiledDestination, Current


class Archives:
    """Opens archives, counts in them, and makes the streams of their jobs. What a job is lies in its consumer's state."""

    def __init__(self, *, outbox: Outbox, current: Current, clock: Clock, open_archive: Callable[[CompiledDestination], Archive | None]) -> None:
        self._outbox = outbox
        self._current = current
        self._clock = clock
        self._open_archive = open_archive
        self.running: dict[str, ArchiveReplay] = {}

    async def count(self, slug: str, span: Span) -> Estimate:
        """What a span of an archive holds. Raises RequestError 404 (no such destination), 409 (it cannot be read), 502 (it does not answer)."""
        archive = self._open(slug)
        try:
            return await archive.count(span)
        except DeliveryError as error:
            raise RequestError(502, "archive_failed", f'Archive "{slug}" cannot be read: {error.message}') from error
        finally:
            await archive.close()

    def open_any(self) -> Archive | None:
        """The first archive that can be read back; None: there is none."""
        return next((archive for one in self._current.compiled.destinations.values() if (archive := self._open_archive(one)) is not None), None)

    def _open(self, slug: str) -> Archive:
        destination = self._current.compiled.destinations[find_destination(self._current, slug).destination_id]
        archive = self._open_archive(destination)
        if archive is None:
            raise RequestError(409, "no_archive", f'Destination "{slug}" cannot be read back.')
        return archive

    async def open(self, destination_id: str, running: set[str]) -> list[ArchiveReplay]:
        """The streams of a destination's jobs that are not through and not among `running`."""
        opened = []
        for name in await self._outbox.names():
            if "#" not in name or destination_of(name) != destination_id or name in running:
                continue
            cursor = await self._outbox.cursor(name)
            told = cursor.state.get("replay", {}) if cursor else {}
            if cursor is None or not told.get("archive") or told.get("finished_s") or told.get("cancelled_s"):
                continue
            try:
                archive = self._open(told["archive"])
            except RequestError:  # it was removed: the job waits until it is there again
                continue
            span = Span(tuple(told["sources"]), told["since_s"], told["until_s"])
            self.running[name] = ArchiveReplay(name, cursor.state, archive, span, clock=self._clock, save=partial(self._save, name))
            opened.append(self.running[name])
        return opened

    async def cancel(self, name: str) -> None:
        """Stop the stream of a job, if it runs."""
        if (replay := self.running.pop(name, None)) is not None:
            await replay.cancel()

    async def _save(self, name: str, told: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        await self._outbox.set_state(name, lambda old: patched(old, state) | {"replay": {**old.get("replay", {}), **told}})
        if told.get("finished_s"):
            self.running.pop(name, None)
