"""Deletion requests: suppress users, delete what is kept of them everywhere, and hand over a receipt. A job of one place after the other.

The ids lie in the job's row until everything else is done, so that a job goes on after any end of the process; then they are replaced by
their hashes, and the database file is cleaned of what deletes leave in it. What a place held is counted, and the count saved, before
anything of it goes: so the receipt is the same however often the job was interrupted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.base.clock import Clock
from relay.control.job_store import ENDED, Job, JobStore
from relay.control.operate import Audit
from relay.control.places import NO_CALL, NO_RECALL, Place, Receiver
from relay.control.residue import Residue
from relay.errors import RelayError, RequestError
from relay.kit.subjects import Subjects
from relay.pipeline.compiled import CompiledDestination, Current
from relay.workspace.suppressions import SuppressionStore

log = structlog.get_logger("relay.control")

KIND: Final = "forget"
MAX_IDS: Final = 5_000
MAX_ID_CHARS: Final = 1_000
SHOWN_JOBS: Final = 100
SUPPRESS_WITH_DELETE: Final = "SUPPRESS_WITH_DELETE"
DELETE_ONLY: Final = "DELETE_ONLY"
SUPPRESS_ONLY: Final = "SUPPRESS_ONLY"
UNSUPPRESS: Final = "UNSUPPRESS"
TYPES: Final = (SUPPRESS_WITH_DELETE, DELETE_ONLY, SUPPRESS_ONLY, UNSUPPRESS)

WAITING: Final = "INITIALIZED"
RUNNING: Final = "RUNNING"
FINISHED: Final = "FINISHED"
PARTIAL: Final = "PARTIAL_SUCCESS"
FAILED: Final = "FAILED"
NOT_SUPPORTED: Final = "NOT_SUPPORTED"
SEALED: Final = "sealed"
"""State of a job that no longer knows the ids: only the file is left to be cleaned."""
FILE: Final = "relay.db"
LIST: Final = "suppression_list"
A_COPY: Final = "a copy of the database as it was before an upgrade holds the user; delete it when you do not go back any more"

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shops:
    """How the places of a job are made."""

    own: Sequence[Place]
    """Those that every relay has, in order: the log first, since what is in it is not delivered any more afterwards."""
    kept: Callable[[CompiledDestination], Place | None]
    """What a destination stored, where it can be deleted."""
    receiver: Callable[[CompiledDestination], Receiver]


class Forget:
    """Takes orders, runs the jobs one after the other, and searches again."""

    def __init__(
        self, *, jobs: JobStore, suppressions: SuppressionStore, shops: Shops, residue: Residue, current: Current, access: Audit, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._suppressions = suppressions
        self._shops = shops
        self._residue = residue
        self._current = current
        self._access = access
        self._clock = clock
        self._wake = asyncio.Event()

    # orders

    async def start(self, user_ids: Sequence[str], kind: str, by: Operator) -> dict[str, Any]:
        """Begin; returns the job. Raises RequestError 400 for ids or a type that cannot be."""
        ids = _checked(user_ids)
        if kind not in TYPES:
            raise RequestError(400, "bad_request", f"type must be one of {', '.join(TYPES)}.")
        now_s = self._clock.now()
        job = Job(0, KIND, "open", {"type": kind, "by": by.name, "subjects": len(ids)}, {"status": WAITING, "stores": []}, now_s)
        if kind in (SUPPRESS_ONLY, UNSUPPRESS):  # nothing is to be done later, so the ids never reach the disk
            entry = _entry(LIST, "suppressions") | await self._enlist(ids, kind) | {"status": FINISHED}
            job.state, job.spec["hashes"] = ENDED, self._hashes(ids)
            job.progress = {"status": FINISHED, "stores": [entry], "finished_s": now_s}
        else:
            if kind == SUPPRESS_WITH_DELETE:  # at once, not when the jobs before it are done
                await self._enlist(ids, kind)
            job.spec["ids"] = ids
        await self._jobs.add(job)
        await self._access.audit(AuditRecord(now_s, by.name, "user.forget", f"forget {job.job_id}", f"{kind}: {len(ids)} users"))
        self._wake.set()
        return told(job)

    async def _enlist(self, ids: Sequence[str], kind: str) -> dict[str, Any]:
        """Change the list; `found`: how many of them are on it then, `erased`: how many were taken off."""
        if kind == UNSUPPRESS:
            before = sum(map(self._current.suppressions.holds, ids))
            await self._suppressions.remove(ids)
            return {"found": before, "erased": before}
        await self._suppressions.add(ids)
        return {"found": len(ids), "erased": 0}

    def _hashes(self, ids: Sequence[str]) -> list[str]:
        return [self._current.suppressions.hash_of(user_id).hex() for user_id in ids]

    # questions

    async def jobs(self) -> dict[str, Any]:
        """The newest jobs, newest first, and how many users are suppressed."""
        return {"jobs": [told(job) for job in await self._jobs.newest(KIND, SHOWN_JOBS)], "suppressed": len(self._current.suppressions)}

    async def job(self, job_id: int) -> dict[str, Any]:
        """One of them. Raises RequestError 404."""
        job = await self._jobs.get(KIND, job_id)
        if job is None:
            raise RequestError(404, "not_found", "There is no such job.")
        return told(job)

    async def verify(self, user_id: str) -> dict[str, Any]:
        """Search again, everywhere: `{found: [{store, count, error}], clean}`. A place that cannot be asked is not clean."""
        users, found = Subjects(_checked([user_id])), []
        for place in self._places():
            try:
                found += [{"store": name, "count": count, "error": ""} for name, count in (await place.find(users)).items() if count]
            except RelayError as error:
                found += [{"store": name, "count": 0, "error": error.message} for name in place.kinds]
        found += [{"store": name, "count": count, "error": ""} for name, count in (await self._residue.find(users)).items()]
        return {"found": found, "clean": not found, "suppressed": self._current.suppressions.holds(user_id)}

    def _places(self) -> list[Place]:
        kept = [self._shops.kept(one) for one in self._current.compiled.destinations.values()]
        return [*self._shops.own, *(place for place in kept if place is not None)]

    # the jobs

    async def run(self) -> None:
        """Until cancelled; what an earlier run left open goes on first."""
        while True:
            self._wake.clear()
            job = await self._jobs.first_open(KIND)
            if job is None:
                await self._wake.wait()
                continue
            try:
                await self._work(job)
            except Exception:  # fence: control/jobs; the job ends, the next one gets its turn
                log.exception("forget.failed", job=job.job_id)
                await self._seal(job)
                await self._end(job, FAILED)

    async def _work(self, job: Job) -> None:
        users = await asyncio.to_thread(Subjects, job.spec.get("ids", ()))  # thousands of ids are searched for by one automaton
        await self._residue.begin()
        try:
            if job.state != SEALED:
                job.progress["status"] = RUNNING
                await self._delete(job, users)
                await self._seal(job)
            entry = self._entry(job, FILE, "file")
            await self._guarded(entry, lambda: self._residue.clean(users if len(users) else None))
        finally:
            await self._residue.end()
        await self._end(job, _overall(job.progress["stores"]))

    async def _delete(self, job: Job, users: Subjects) -> None:
        if job.spec["type"] == SUPPRESS_WITH_DELETE:
            entry = self._entry(job, LIST, "suppressions")
            entry |= await self._enlist(job.spec["ids"], SUPPRESS_WITH_DELETE) | {"status": FINISHED}
        for place in self._shops.own:
            await self._visit(job, place, users)
        for destination in self._current.compiled.destinations.values():
            slug, kind = destination.destination.slug, kind_of(destination)
            kept = self._shops.kept(destination)
            if kept is not None:
                await self._visit(job, kept, users)
            elif destination.definition.on_delete is not None:
                await self._ask(job, self._entry(job, slug, kind), self._shops.receiver(destination), users)
            else:
                self._entry(job, slug, kind).update(status=NOT_SUPPORTED, error=NO_RECALL if kind == "stream" else NO_CALL)
        for name in await self._residue.copies(users):
            self._entry(job, name, "copy").update(status=FAILED, found=1, error=A_COPY)
        for place in self._shops.own:  # what was on its way meanwhile
            await self._guarded({}, lambda place=place: place.erase(users))  # type: ignore[misc]

    async def _visit(self, job: Job, place: Place, users: Subjects) -> None:
        """Count, save the count, delete, count what is left."""
        entries = {name: self._entry(job, name, kind) for name, kind in place.kinds.items()}
        if all(entry["status"] in (FINISHED, FAILED) for entry in entries.values()):
            return
        try:
            if any(entry["status"] == WAITING for entry in entries.values()):
                for name, count in (await place.find(users)).items():
                    entries[name].update(found=count, status=RUNNING)
                await self._save(job)
            await place.erase(users)
            left = await place.find(users)
            for name, entry in entries.items():
                came = job.spec["type"] == DELETE_ONLY and left[name]
                entry.update(erased=max(0, entry["found"] - (0 if came else left[name])), status=FINISHED)
                entry["error"] = f"{left[name]} came in meanwhile" if came else f"{left[name]} are left" if left[name] else ""
                if left[name] and not came:
                    entry["status"] = FAILED
        except RelayError as error:
            for entry in entries.values():
                entry.update(status=FAILED, error=_safe(error.message, users))
        await self._save(job)

    async def _ask(self, job: Job, entry: Entry, receiver: Receiver, users: Subjects) -> None:
        if entry["status"] in (FINISHED, FAILED):
            return
        entry.update(found=len(job.spec["ids"]), status=RUNNING)
        await self._guarded(entry, lambda: receiver.delete(job.spec["ids"], entry, lambda: self._save(job)))
        entry["error"] = _safe(entry["error"], users)
        if entry["error"]:
            entry["status"] = FAILED
        await self._save(job)

    async def _guarded(self, entry: Entry, work: Callable[[], Awaitable[None]]) -> None:
        """A place that fails is told in the receipt, and the job goes on."""
        try:
            await work()
            entry["status"] = FINISHED
        except RelayError as error:
            log.warning("forget.store_failed", store=entry.get("name", ""), code=error.code)
            entry.update(status=FAILED, error=entry.get("error") or error.message)

    def _entry(self, job: Job, name: str, kind: str) -> Entry:
        stores: list[Entry] = job.progress["stores"]
        found = next((one for one in stores if one["name"] == name), None)
        if found is None:
            found = _entry(name, kind)
            stores.append(found)
        return found

    async def _seal(self, job: Job) -> None:
        """From here on the ids are in memory only."""
        if "ids" in job.spec:
            job.spec["hashes"] = self._hashes(job.spec.pop("ids"))
        job.state = SEALED
        await self._save(job)

    async def _end(self, job: Job, status: str) -> None:
        job.state = ENDED
        job.progress |= {"status": status, "finished_s": self._clock.now()}
        await self._save(job)
        by = str(job.spec.get("by", ""))
        await self._access.audit(AuditRecord(self._clock.now(), by, "user.forgotten", f"forget {job.job_id}", status))
        log.info("forget.ended", job=job.job_id, status=status)

    async def _save(self, job: Job) -> None:
        await self._jobs.save(job, self._clock.now())


def kind_of(destination: CompiledDestination) -> str:
    """What the receipt calls it."""
    definition = destination.definition
    if definition.mode != "storage":
        return "destination"
    return "archive" if definition.open_archive else "warehouse" if definition.open_eraser else "stream"


def told(job: Job) -> dict[str, Any]:
    """A job as people see it."""
    stores = [{key: one[key] for key in ("name", "kind", "status", "found", "erased", "error")} for one in job.progress["stores"]]
    return {
        "id": str(job.job_id),
        "type": job.spec["type"],
        "subjects": job.spec["subjects"],
        "hashes": job.spec.get("hashes", []),
        "status": job.progress["status"],
        "created_s": job.created_s,
        "finished_s": job.progress.get("finished_s"),
        "by": job.spec.get("by", ""),
        "stores": stores,
    }


def _entry(name: str, kind: str) -> Entry:
    return {"name": name, "kind": kind, "status": WAITING, "found": 0, "erased": 0, "error": ""}


def _overall(stores: Sequence[Mapping[str, Any]]) -> str:
    failed = sum(one["status"] == FAILED for one in stores)
    done = sum(one["status"] == FINISHED for one in stores)
    return FINISHED if not failed else PARTIAL if done else FAILED


def _safe(message: str, users: Subjects) -> str:
    """What a system said must not bring the id back."""
    return "it was refused (the answer names the user and is not kept)" if users.mentions(message) else message


def _checked(user_ids: Sequence[Any]) -> list[str]:
    ids = list(dict.fromkeys(user_ids)) if all(isinstance(one, str) for one in user_ids) else []
    if not ids or len(ids) > MAX_IDS or not all(0 < len(one) <= MAX_ID_CHARS for one in ids):
        raise RequestError(400, "bad_request", f"user_ids must be a list of 1 to {MAX_IDS:,} ids, each of 1 to {MAX_ID_CHARS:,} characters.")
    return ids
