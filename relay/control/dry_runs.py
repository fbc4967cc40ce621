"""Dry runs in the running relay, asked for by a person who is about to save: one at a time, in memory, in slices that leave the loop to traffic."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog

from relay.base import jsonio
from relay.base.clock import Clock
from relay.base.codes import meaning_of
from relay.base.tasks import spawn
from relay.control.archives import Archives
from relay.control.dry_run import Comparison
from relay.control.operate import find_destination
from relay.control.traffic import Traffic
from relay.errors import RelayError, RequestError
from relay.kit.sink import Archive, Span
from relay.kit.subjects import Subjects
from relay.outbox.interface import Outbox
from relay.pipeline.compiled import Compiled, Current

log = structlog.get_logger("relay.control")

SLICE_S: Final = 0.001
"""Work at one go."""
REST: Final = 2.0
"""After it the loop is free for so many times as long: a dry run takes a third of it at most."""

PAGE: Final = 50
"""Events that are read at once: their parsing holds up the loop, though it is done in another thread."""

RUNNING: Final = "running"
FINISHED: Final = "finished"
CANCELLED: Final = "cancelled"
FAILED: Final = "failed"

Told = dict[str, Any]
Candidate = Callable[[Mapping[str, Any]], Compiled]
"""The configuration with changes laid over it, checked and compiled. May block (files). Raises ConfigError, its places inside the changes."""


@dataclass(slots=True)
class Job:
    """One dry run."""

    job_id: str
    comparison: Comparison
    traffic: Traffic
    since_s: float
    started_s: float
    status: str = RUNNING
    error: str = ""
    finished_s: float | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    def told(self) -> Told:
        told = self.comparison.told()
        return {
            "id": self.job_id,
            "status": self.status,
            "error": self.error,
            "since_s": self.since_s,
            "started_s": self.started_s,
            "finished_s": self.finished_s,
            "total": self.traffic.total,
            "archived": self.traffic.archived,
            "partial": self.traffic.is_partial,
            "meanings": {code: meaning_of(code) for code in (*told["dropped"], *told["added"])},
            **told,
        }


class DryRuns:
    """Starts, tells and cancels. The newest one is kept until the next."""

    kinds: Final[Mapping[str, str]] = {"dry_run": "memory"}

    def __init__(
        self, *, outbox: Outbox, current: Current, clock: Clock, archives: Archives, candidate: Candidate, mask_names: tuple[str, ...] = ()
    ) -> None:
        self._outbox = outbox
        self._current = current
        self._clock = clock
        self._archives = archives
        self._candidate = candidate
        self._mask_names = mask_names
        self._starting = asyncio.Lock()
        self._job: Job | None = None

    async def start(self, changes: Mapping[str, Any], since_s: float, destination: str = "") -> Told:
        """Begin a dry run of the configuration with `changes` over what came in since. Raises ConfigError; RequestError 404, 409 (one runs)."""
        async with self._starting:
            if self._job is not None and self._job.status == RUNNING:
                raise RequestError(409, "busy", "A dry run is under way; cancel it first, or wait for its end.")
            if destination:
                find_destination(self._current, destination)
            before, now_s = self._current.compiled, self._clock.now()
            comparison = await asyncio.to_thread(self._comparison, before, changes, destination, now_s)
            archive = self._archives.open_any()
            span = Span(tuple(before.sources), since_s, now_s)
            traffic = Traffic(log=self._outbox.history, head=self._outbox.head, span=span, archive=archive, page=PAGE)
            job = self._job = Job(f"{now_s * 1000:.0f}", comparison, traffic, since_s, now_s)
            job.task = spawn(self._run(job, archive), name="dry-run")
            job.task.add_done_callback(partial(self._ended, job))
            return job.told()

    def _comparison(self, before: Compiled, changes: Mapping[str, Any], destination: str, now_s: float) -> Comparison:
        """Reads files and compiles, so it is not for the loop."""
        named = (destination,) if destination else ()
        return Comparison(before, self._candidate(changes), sent_s=now_s, destinations=named, mask_names=self._mask_names)

    def tell(self, job_id: str) -> Told:
        """Raises RequestError 404 when it is not the newest one."""
        return self._find(job_id).told()

    async def cancel(self, job_id: str) -> Told:
        """Stop it; what was counted so far stays to be seen. Harmless when it has ended."""
        job = self._find(job_id)
        await self._stop(job)
        return job.told()

    async def find(self, users: Subjects) -> dict[str, int]:
        """For deletion requests: whether the newest one shows something of these users."""
        return {"dry_run": int(self._job is not None and users.mentions(jsonio.dumps(self._job.told())))}

    async def erase(self, users: Subjects) -> None:
        """Forget the newest one if it does."""
        if self._job is not None and (await self.find(users))["dry_run"]:
            await self._stop(self._job)
            self._job = None

    async def close(self) -> None:
        """Stop what runs."""
        if self._job is not None:
            await self._stop(self._job)

    def _find(self, job_id: str) -> Job:
        if self._job is None or self._job.job_id != job_id:
            raise RequestError(404, "not_found", "This dry run is no longer kept.")
        return self._job

    async def _stop(self, job: Job) -> None:
        if job.task is not None and not job.task.done():
            job.task.cancel()
            await asyncio.wait([job.task])

    async def _run(self, job: Job, archive: Archive | None) -> None:
        try:
            async with aclosing(job.traffic.pages()) as pages:
                began_s = self._clock.monotonic()
                async for page, archived in pages:
                    for seq, event in page:
                        job.comparison.take(seq, event, archived=archived)
                        if (worked_s := self._clock.monotonic() - began_s) >= SLICE_S:
                            await asyncio.sleep(worked_s * REST)
                            began_s = self._clock.monotonic()
        finally:
            if archive is not None:
                await archive.close()

    def _ended(self, job: Job, task: "asyncio.Task[None]") -> None:
        job.finished_s = self._clock.now()
        job.status = CANCELLED if task.cancelled() else FINISHED
        if not task.cancelled() and (error := task.exception()) is not None:
            job.status = FAILED
            job.error = error.message if isinstance(error, RelayError) else "relay failed; the log says why."
            log.error("dry_run.failed", exc_info=error)
