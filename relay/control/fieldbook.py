"""The fieldbook: which events and fields each source sends, learnt from what the router has routed.

Every event is counted by (source, type, name); only some are looked through for their fields, later and in slices, so that the router pays a
look-up and a few additions per event. What is known lies in memory and is written every ten seconds; a crash loses at most that. An event is
never counted twice: the seq that was reached is written with the counts.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from relay.base import jsonio
from relay.base.clock import Clock
from relay.base.codes import Door
from relay.base.event import DELETED, Event
from relay.control.colors import Colors
from relay.control.seen import CONTENT, CONTEXT, NAME_MAX, Lens, SeenEvent, SeenField, look_through, mark_of
from relay.control.seen_store import SeenKey, SeenRow, SeenStore, counts_of, fields_text
from relay.errors import StoreError
from relay.kit.edits import split_path
from relay.kit.subjects import Subjects
from relay.pipeline.decision import Sourced
from relay.workspace.model import BUILT_IN_SOURCE

log = structlog.get_logger("relay.control")

EVENTS_MAX: Final = 4_000
"""Names of one source (semantics page 2.5); events of further names are counted together."""
FIELDS_TOTAL: Final = 100_000
"""Fields of all events of all sources: a client that invents names must not fill the memory."""
FIRST: Final = 20
"""So many events of a new name are looked through in any case."""
RATE: Final = 50.0
"""Then so many a second, of all names together."""
GAP_MS: Final = 200
"""Between two of one name, so that a frequent one leaves room for others."""
WAITING_MAX: Final = 500
SLICE: Final = 5
"""Events looked through between two breaths of the loop."""
DIGEST_S: Final = 0.5
FLUSH_S: Final = 10.0
FIELDS_S: Final = 300.0
"""Fields whose counts alone have changed are written this often; what is new about them with the next flush."""
ROWS_A_JOB: Final = 500
KEEP_MS: Final = 30 * 86_400_000
PRUNE_S: Final = 3_600.0
NEVER_MS: Final = 1 << 62


class Fieldbook:
    """`routed` is the router's hook; `load` before it, `run` until cancelled, then `flush` once more. A place of deletion requests."""

    kinds = {"fields": "database"}

    def __init__(self, *, store: SeenStore, colors: Colors, clock: Clock, mask_names: tuple[str, ...]) -> None:
        self._store = store
        self._clock = clock
        self._lens = Lens(colors.of_path, colors.of_value, self._take_room, mask_names)
        self._events: dict[SeenKey, SeenEvent] = {}
        self._names: dict[str, int] = {}
        """How many event names a source has."""
        self._fields = 0
        self._nobody = SeenEvent("", DELETED, "", 0, next_ms=NEVER_MS)
        """Counts what is of no source: tombstones, and relay's own events."""
        self._waiting: deque[tuple[SeenEvent, Event]] = deque()
        self._allowance, self._allowed_s = RATE, clock.monotonic()
        self._flushed_s = self._pruned_s = self._wrote_fields_s = clock.monotonic()
        self._upto = 0
        self._writing = asyncio.Lock()

    # what comes in

    def routed(self, results: Sequence[Sourced]) -> None:
        """The router's next chunk."""
        if results[0].seq <= self._upto:  # a crash, or a stop between two commits of the router, brings some again
            results = [result for result in results if result.seq > self._upto]
            if not results:
                return
        known, blocked = self._events, Door.BLOCKED
        for result in results:
            event = result.event
            seen = known.get((event.source_id, event.type, event.name)) or self._meet(event)
            seen.count += 1
            seen.last_ms = event.received_ms
            if result.drop is not None and result.drop.door is blocked:
                seen.blocked += 1
            if event.received_ms >= seen.next_ms:
                self._offer(seen, event)
        self._upto = results[-1].seq

    def _meet(self, event: Event) -> SeenEvent:
        """The entry of a name that is new: its own, or that of the rest when there is no room."""
        source_id = event.source_id
        if event.type == DELETED or source_id == BUILT_IN_SOURCE:
            return self._nobody
        if self._names.get(source_id, 0) >= EVENTS_MAX or len(event.name) > NAME_MAX:
            return self._rest(source_id, event.received_ms)
        self._names[source_id] = self._names.get(source_id, 0) + 1
        seen = SeenEvent(source_id, event.type, event.name, event.received_ms)
        self._events[source_id, event.type, event.name] = seen
        return seen

    def _rest(self, source_id: str, at_ms: int) -> SeenEvent:
        """The entry of everything that has none of its own, and of the context of all events."""
        found = self._events.get((source_id, "", ""))
        if found is None:
            found = self._events[source_id, "", ""] = SeenEvent(source_id, "", "", at_ms, next_ms=NEVER_MS)
        return found

    def _offer(self, seen: SeenEvent, event: Event) -> None:
        """Put an event aside for its fields, if it is one of the first of its name or the pace allows."""
        if seen.count > FIRST:
            seen.next_ms = event.received_ms + GAP_MS
            now_s = self._clock.monotonic()
            self._allowance = min(RATE, self._allowance + (now_s - self._allowed_s) * RATE)
            self._allowed_s = now_s
            if self._allowance < 1:
                return
            self._allowance -= 1
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append((seen, event))

    # what is made of it

    async def run(self) -> None:
        while True:
            await asyncio.sleep(DIGEST_S)
            await self.digest()
            now_s = self._clock.monotonic()
            if now_s - self._flushed_s >= FLUSH_S:
                await self.flush()
            if now_s - self._pruned_s >= PRUNE_S:
                await self.prune()

    async def digest(self) -> None:
        """Look through the events that wait."""
        while self._waiting:
            for _ in range(min(SLICE, len(self._waiting))):
                self._walk(*self._waiting.popleft())
            await asyncio.sleep(0)

    def _walk(self, seen: SeenEvent, event: Event) -> None:
        payload = event.parsed if event.parsed is not None else jsonio.loads(event.body)  # asking the event would keep it parsed
        rest = self._rest(event.source_id, event.received_ms)
        users = tuple(user for user in dict.fromkeys((event.user_id, event.anonymous_id)) if user)
        for one, roots in ((seen, CONTENT), (rest, CONTEXT)):
            one.walked += 1
            look_through(one, payload, roots, self._lens, at_ms=event.received_ms, users=users)
        rest.last_ms = event.received_ms

    def _take_room(self) -> bool:
        if self._fields >= FIELDS_TOTAL:
            return False
        self._fields += 1
        return True

    # what is asked

    def events(self, source_id: str) -> list[SeenEvent]:
        """Every name of a source."""
        return [seen for seen in self._events.values() if seen.source_id == source_id and seen.type]

    def rest(self, source_id: str) -> SeenEvent | None:
        """What has no entry of its own (`count`), and the fields of every event's context; None: nothing was seen."""
        return self._events.get((source_id, "", ""))

    # what is taken away

    def stain(self, source_id: str, path: str, color: str) -> None:
        """A person says that a field is red or yellow: no sample of it, nor of what is below, is kept from now on."""
        inside = f"{path}."
        for seen in self._events.values():
            if seen.source_id == source_id:
                for at, known in seen.fields.items():
                    if (at == path or at.startswith(inside)) and known.stain(color, ""):
                        seen.grown = True

    async def find(self, users: Subjects) -> dict[str, int]:
        """Names and paths that hold an id of theirs, and samples that came from their events or show one."""
        await self.digest()
        return {"fields": sum([len(found) async for _, found in self._of(users)])}

    async def erase(self, users: Subjects) -> None:
        """All that `find` counts goes; written before this returns. Raises StoreError."""
        await self.digest()
        gone: list[SeenKey] = []
        async for seen, found in self._of(users):
            for path in found:
                if path is None:
                    gone.append((seen.source_id, seen.type, seen.name))
                elif _names(users, path):
                    del seen.fields[path]
                else:
                    seen.fields[path].sample, seen.fields[path].owner = None, ""
            seen.grown = True
        for key in gone:
            del self._events[key]
        self._reckon()
        async with self._writing:
            await self._store.delete(gone)
            await self._write(whole=False)

    async def _of(self, users: Subjects) -> AsyncIterator[tuple[SeenEvent, list[str | None]]]:
        """Entries with something of theirs: the paths of fields, or None for all of it."""
        marks = {mark_of(user) for user in users.user_ids}
        for number, seen in enumerate(list(self._events.values()), 1):
            if users.mentions(seen.name):
                yield seen, [None]
            elif found := [path for path, known in seen.fields.items() if _names(users, path) or _is_sampled(users, marks, known)]:
                yield seen, [*found]
            if number % SLICE == 0:
                await asyncio.sleep(0)

    async def prune(self) -> None:
        """Forget what nobody has sent for 30 days."""
        self._pruned_s = self._clock.monotonic()
        before_ms = int(self._clock.now() * 1000) - KEEP_MS
        gone = [key for key, seen in self._events.items() if max(seen.last_ms, seen.first_ms) < before_ms]
        for seen in self._events.values():
            for path in [path for path, known in seen.fields.items() if known.last_ms < before_ms]:
                del seen.fields[path]
                seen.grown = True
        for key in gone:
            del self._events[key]
        self._reckon()
        if gone:
            try:
                async with self._writing:
                    await self._store.delete(gone)
            except StoreError as error:
                log.warning("fieldbook.waiting", error=error.message)

    # the table

    async def load(self) -> None:
        """Go on with what was written."""
        events, self._upto = await self._store.load()
        self._events = {(seen.source_id, seen.type, seen.name): seen for seen in events}
        for seen in events:
            if not seen.type:
                seen.next_ms = NEVER_MS
        self._reckon()
        await self.prune()

    def _reckon(self) -> None:
        self._names = {}
        for seen in self._events.values():
            if seen.type:
                self._names[seen.source_id] = self._names.get(seen.source_id, 0) + 1
        self._fields = sum(len(seen.fields) for seen in self._events.values())

    async def flush(self, *, whole: bool = False) -> None:
        """Write what has changed; what a full disk refuses waits for the next time."""
        await self.digest()
        try:
            async with self._writing:
                await self._write(whole=whole)
        except StoreError as error:
            log.warning("fieldbook.waiting", error=error.message)

    async def _write(self, *, whole: bool) -> None:
        """One at a time: what is deleted must not come back with a write that began before."""
        self._flushed_s = now_s = self._clock.monotonic()
        whole = whole or now_s - self._wrote_fields_s >= FIELDS_S
        upto = self._upto
        changed = [seen for seen in self._events.values() if seen.grown or seen.count != seen.saved or (whole and seen.walked != seen.saved_walked)]
        counts = [(seen, counts_of(seen)) for seen in changed]  # at one moment, so that they fit `upto`
        rows: list[SeenRow] = []
        try:
            for number, (seen, numbers) in enumerate(counts):
                fields = None
                if seen.grown or (whole and seen.walked != seen.saved_walked):
                    fields, seen.grown, seen.saved_walked = fields_text(seen), False, seen.walked
                rows.append(((seen.source_id, seen.type, seen.name), numbers, fields))
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            for first in range(0, len(rows), ROWS_A_JOB):
                await self._store.put(rows[first : first + ROWS_A_JOB], upto if first + ROWS_A_JOB >= len(rows) else None)
        except BaseException:  # also when the task is cancelled
            for seen, _ in counts:
                seen.grown = True
            raise
        for seen, numbers in counts:
            seen.saved = numbers[0]
        if whole:
            self._wrote_fields_s = now_s


def _names(users: Subjects, path: str) -> bool:
    return any(map(users.mentions, split_path(path)))


def _is_sampled(users: Subjects, marks: set[str], known: SeenField) -> bool:
    """Whether the sample is theirs. Whatever holds the bytes of an id counts: a sample less harms nobody."""
    return known.sample is not None and (
        not marks.isdisjoint(known.owner.split()) or users.touches(str(known.sample).encode("utf-8", "surrogatepass"))
    )
