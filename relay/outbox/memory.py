"""The outbox in memory: what the simulation and tests run on. Its disk outlives a crash of the process that uses it."""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from relay.base.clock import Clock
from relay.base.event import Event
from relay.base.tasks import spawn
from relay.errors import StoreError
from relay.kit.subjects import Subjects
from relay.observe.latency import Latency, LatencyKey
from relay.observe.rollup import Fold
from relay.observe.tallies import Tally, TallyKey, add
from relay.outbox.engine import LedgerOutbox, Limits
from relay.outbox.interface import DEAD, RETRY, Attempt, Claim, Cursor, RefusedMessage, Row, Sample, SampleGroup, Seen, Selection, Traces
from relay.outbox.mentions import is_about, is_held_by
from relay.outbox.operations import Keep

T = TypeVar("T")


@dataclass
class Disk:
    """What was committed; survives the outbox on it. It is the transaction as well: an operation runs without a pause."""

    last: int = 0
    log: dict[int, tuple[str, tuple[str, ...], int, bytes]] = field(default_factory=dict)
    generations: list[dict[int, int]] = field(default_factory=lambda: [{}, {}, {}])
    current: int = 0
    all_cursors: dict[str, Cursor] = field(default_factory=dict)
    rows: dict[str, dict[tuple[int, str], Row]] = field(default_factory=dict)
    journal: list[tuple[str, Attempt]] = field(default_factory=list)
    counts: Tally = field(default_factory=dict)
    messages: list[RefusedMessage] = field(default_factory=list)
    times: Latency = field(default_factory=dict)
    examples: list[Sample] = field(default_factory=list)
    commits: int = 0

    def head(self) -> int:
        return self.last

    def set_head(self, head: int) -> None:
        self.last = head

    def insert(self, claims: Sequence[Claim]) -> None:
        for seq, event in claims:
            self.log[seq] = (event.source_id, event.keys, event.received_ms, event.body)

    def _event(self, seq: int) -> Event:
        source_id, _, received_ms, body = self.log[seq]
        return Event.from_body(source_id, received_ms, body)

    def events(self, after: int, limit: int, sources: frozenset[str] | None) -> tuple[list[Claim], int]:
        seqs = sorted(self.log)
        seqs = seqs[bisect_right(seqs, after) :][:limit]
        wanted = [seq for seq in seqs if sources is None or self.log[seq][0] in sources]
        return [Claim(seq, self._event(seq)) for seq in wanted], seqs[-1] if len(seqs) == limit else max(after, self.last)

    def events_at(self, seqs: Sequence[int]) -> dict[int, Event]:
        return {seq: self._event(seq) for seq in seqs if seq in self.log}

    def search(self, needle: bytes, after: int, upto: int) -> list[Claim]:
        return [Claim(seq, self._event(seq)) for seq in sorted(self.log) if after < seq <= upto and needle in self.log[seq][3]]

    def sources_between(self, first: int, last: int) -> list[tuple[int, str]]:
        return [(seq, self.log[seq][0]) for seq in sorted(self.log) if first <= seq <= last]

    def seqs_of(self, keys: Sequence[str], after: int, limit: int) -> tuple[list[int], int]:
        upto = min(after + limit, self.last)
        return [seq for seq, (_, event_keys, _, _) in sorted(self.log.items()) if after < seq <= upto and set(keys) & set(event_keys)], upto

    def bodies(self, source_id: str, after: int, upto: int) -> list[tuple[int, bytes]]:
        return [(seq, row[3]) for seq, row in sorted(self.log.items()) if after < seq <= upto and row[0] == source_id and row[3]]

    def tombstone(self, seqs: Sequence[int]) -> None:
        for seq in seqs:
            source_id, _, received_ms, _ = self.log[seq]
            self.log[seq] = (source_id, (), received_ms, b"")

    def tombstones(self, seqs: Sequence[int]) -> set[int]:
        return {seq for seq in seqs if seq in self.log and not self.log[seq][3]}

    def seq_before(self, received_ms: int) -> int:
        return max((seq for seq, row in self.log.items() if row[2] < received_ms), default=0)

    def delete_log(self, upto: int, limit: int) -> int:
        named = {seq for rows in self.rows.values() for seq, _ in rows}
        gone = [seq for seq in sorted(self.log) if seq <= upto and seq not in named][:limit]
        for seq in gone:
            del self.log[seq]
        return len(gone)

    def oldest(self) -> int:
        return min(self.log, default=0)

    def source_ids(self) -> list[str]:
        return sorted({row[0] for row in self.log.values()})

    def keep_refused(self, messages: Sequence[RefusedMessage]) -> int:
        first = self.messages[-1].refused_id + 1 if self.messages else 1
        self.messages += [replace(one, refused_id=number) for number, one in enumerate(messages, first)]
        return first

    def refused(self, refused_id: int, message_id: str, limit: int) -> list[RefusedMessage]:
        if refused_id:
            return [one for one in self.messages if one.refused_id == refused_id]
        return [one for one in self.messages if message_id in ("", one.message_id)][-limit:]

    def delete_refused(self, received_ms: int, keep: int) -> None:
        last = self.messages[-1].refused_id if self.messages else 0
        self.messages = [one for one in self.messages if one.refused_id == last or (one.received_ms >= received_ms and one.refused_id > last - keep)]

    def known(self, hashes: Sequence[int]) -> dict[int, int]:
        return {key: generation[key] for generation in self.generations for key in hashes if key in generation}

    def remember(self, first: int, hashes: Sequence[int]) -> None:
        self.generations[self.current].update(zip(hashes, range(first, first + len(hashes)), strict=True))

    def rotate(self) -> None:
        self.current = (self.current + 1) % 3
        self.generations[self.current] = {}

    def cursor(self, name: str) -> Cursor | None:
        cursor = self.all_cursors.get(name)
        return replace(cursor, doors=dict(cursor.doors), state=deepcopy(cursor.state)) if cursor else None

    def cursors(self) -> list[Cursor]:
        return [replace(cursor) for _, cursor in sorted(self.all_cursors.items())]

    def put_cursor(self, cursor: Cursor) -> None:
        self.all_cursors[cursor.name] = replace(cursor, doors=dict(cursor.doors), state=deepcopy(cursor.state))

    def delete_cursor(self, name: str) -> None:
        self.all_cursors.pop(name, None)
        self.rows.pop(name, None)

    def _rows(self, name: str) -> dict[tuple[int, str], Row]:
        return self.rows.setdefault(name, {})

    def open_rows(self, name: str) -> list[Row]:
        return [replace(row) for key, row in sorted(self._rows(name).items()) if row.state != DEAD]

    def rows_at(self, name: str, seqs: Iterable[int]) -> list[Row]:
        wanted = set(seqs)
        return [replace(row) for key, row in sorted(self._rows(name).items()) if key[0] in wanted]

    def rows_of(self, seq: int) -> list[tuple[str, Row]]:
        return [(name, replace(row)) for name, rows in sorted(self.rows.items()) for key, row in sorted(rows.items()) if key[0] == seq]

    def rows_between(self, first: int, last: int) -> list[tuple[str, Row]]:
        return [(name, replace(row)) for name, rows in sorted(self.rows.items()) for row in rows.values() if first <= row.seq <= last]

    def dead_rows(self, name: str, which: Selection, seqs: Sequence[int] | None, after: int, limit: int) -> list[Row]:
        def wanted(row: Row) -> bool:
            return (
                row.state == DEAD
                and row.seq > after
                and (seqs is None or row.seq in seqs)
                and (not which.code or row.code == which.code)
                and row.changed_s >= which.since_s
                and (not which.until_s or row.changed_s < which.until_s)
            )

        return [replace(row) for _, row in sorted(self._rows(name).items()) if wanted(row)][:limit]

    def put_rows(self, name: str, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows(name)[(row.seq, row.subscription_id)] = replace(row)

    def delete_rows(self, name: str, keys: Iterable[tuple[int, str]]) -> None:
        for key in keys:
            self._rows(name).pop(key, None)

    def count_rows(self, name: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self._rows(name).values():
            counts[row.state] = counts.get(row.state, 0) + 1
            if row.state != DEAD:
                counts["oldest"] = min(counts.get("oldest", row.seq), row.seq)
        return counts

    def delete_dead_before(self, changed_s: float, limit: int) -> int:
        gone = [(name, key) for name, rows in self.rows.items() for key, row in rows.items() if row.state == DEAD and row.changed_s < changed_s]
        for name, key in gone[:limit]:
            del self.rows[name][key]
        return len(gone[:limit])

    def write_journal(self, name: str, attempts: Sequence[Attempt]) -> None:
        self.journal += [(name, attempt) for attempt in attempts]

    def journal_of(self, seq: int) -> list[tuple[str, Attempt]]:
        lines = [(name, line) for name, attempt in self.journal if (line := attempt.of(seq)) is not None and name in self.all_cursors]
        return sorted(lines, key=lambda line: line[1].at_s)

    def journal_before(self, line: int, limit: int) -> list[tuple[int, str, list[Attempt]]]:
        numbered = [(number, name, [attempt]) for number, (name, attempt) in enumerate(self.journal, 1)]
        return [one for one in reversed(numbered) if not line or one[0] < line][:limit]

    def delete_journal_before(self, at_s: float) -> None:
        self.journal = [line for line in self.journal if line[1].at_s >= at_s]

    def count(self, tally: Mapping[TallyKey, int]) -> None:
        add(self.counts, tally)

    def tallies(self, since_minute: int, until_minute: int) -> Tally:
        return {key: count for key, count in self.counts.items() if since_minute <= key.minute < until_minute}

    def tally_spans(self, since_minute: int, until_minute: int, step: int) -> Tally:
        found: Tally = {}
        for key, count in self.tallies(since_minute, until_minute).items():
            source_id = "" if key.destination_id else key.source_id
            add(found, {key._replace(minute=key.minute // step * step, source_id=source_id, first=False): count})
        return found

    def add_latency(self, latency: Latency) -> None:
        for key, count in latency.items():
            self.times[key] = self.times.get(key, 0) + count

    def latency_spans(self, since_minute: int, until_minute: int, step: int) -> Latency:
        found: Latency = {}
        for (minute, destination_id, bucket), count in self.times.items():
            if since_minute <= minute < until_minute:
                key = LatencyKey(minute // step * step, destination_id, bucket)
                found[key] = found.get(key, 0) + count
        return found

    def uneven_minute(self, step: int, before: int) -> int | None:
        minutes = {key.minute for key in self.counts} | {key.minute for key in self.times}
        return min((minute for minute in minutes if minute < before and minute % step), default=None)

    def fold(self, fold: Fold) -> None:
        counts, times = self.counts, self.times
        self.counts, self.times = {}, {}
        for tally_key, count in counts.items():
            minute = fold.first if fold.first <= tally_key.minute < fold.until else tally_key.minute
            add(self.counts, {tally_key._replace(minute=minute): count})
        for key, count in times.items():
            minute = fold.first if fold.first <= key.minute < fold.until else key.minute
            self.add_latency({key._replace(minute=minute): count})

    def delete_counts_before(self, minute: int) -> None:
        self.counts = {key: count for key, count in self.counts.items() if key.minute >= minute}
        self.times = {key: count for key, count in self.times.items() if key.minute >= minute}

    def put_samples(self, samples: Sequence[Sample], keep: int) -> None:
        self.examples = [*self.examples, *samples]
        for destination_id, code in {(one.destination_id, one.code) for one in samples}:
            old = [id(one) for one in self.samples(destination_id, code)[keep:]]
            self.examples = [one for one in self.examples if id(one) not in old]

    def samples(self, destination_id: str, code: str) -> list[Sample]:
        of_code = [one for one in self.examples if (one.destination_id, one.code) == (destination_id, code)]
        return sorted(of_code, key=lambda one: one.at_s)[::-1]

    def sample_groups(self, destination_id: str) -> list[SampleGroup]:
        groups = []
        for code in sorted({one.code for one in self.examples if one.destination_id == destination_id}):
            of_code = self.samples(destination_id, code)
            groups.append(SampleGroup(code, len(of_code), of_code[0].result, of_code[0].status, of_code[0].at_s))
        return groups

    def traces(self, users: Subjects) -> Traces:
        found = Traces()
        for name, row in ((name, row) for name, rows in sorted(self.rows.items()) for _, row in sorted(rows.items())):
            theirs = not users.user_ids.isdisjoint(row.keys)
            which = (found.dead if row.state == DEAD else found.waiting) if theirs else found.details if users.mentions(row.detail) else None
            if which is not None:
                which.append((name, row.seq, row.subscription_id))
        for one in self.examples:
            keys = self.log[one.seq][1] if one.seq in self.log else ()
            if not users.user_ids.isdisjoint(keys) or users.mentions(one.detail):
                found.samples.append(id(one))
        found.refused.extend(one.refused_id for one in self.messages if is_about(one, users))
        found.holds.extend(name for name, cursor in sorted(self.all_cursors.items()) if is_held_by(cursor.state, users))
        return found

    def delete_refused_at(self, ids: Sequence[int]) -> None:
        self.messages = [self._emptied(one) if one.refused_id in ids else one for one in self.messages]
        last = self.messages[-1].refused_id if self.messages else 0
        self.messages = [one for one in self.messages if one.refused_id not in ids or one.refused_id == last]

    def _emptied(self, one: RefusedMessage) -> RefusedMessage:
        return RefusedMessage(one.source_id, one.code, one.received_ms, refused_id=one.refused_id)

    def delete_samples_at(self, ids: Sequence[int]) -> None:
        self.examples = [one for one in self.examples if id(one) not in ids]

    def delete_samples_of(self, seqs: Sequence[int]) -> None:
        self.examples = [one for one in self.examples if one.seq not in seqs]

    def delete_samples_for(self, destination_id: str) -> None:
        self.examples = [one for one in self.examples if one.destination_id != destination_id]

    def delete_samples_before(self, at_s: float) -> None:
        self.examples = [one for one in self.examples if one.at_s >= at_s]

    def waiting_codes(self, name: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self._rows(name).values():
            if row.state == RETRY:
                counts[row.code] = counts.get(row.code, 0) + 1
        return counts

    def seen(self, source_id: str, after: int, upto: int) -> list[Seen]:
        found: dict[tuple[str, str, str, str], Seen] = {}
        for seq, (source, _, received_ms, body) in sorted(self.log.items()):
            if source != source_id or not after < seq <= upto or not body:
                continue
            event = self._event(seq)
            context = event.payload.get("context")
            library = context.get("library") if isinstance(context, dict) else None
            name, version = (str(library.get(part) or "") for part in ("name", "version")) if isinstance(library, dict) else ("", "")
            key = (event.type, event.name, name, version)
            known = found.get(key, Seen(*key, 0, received_ms, received_ms))
            found[key] = known._replace(n=known.n + 1, first_ms=min(known.first_ms, received_ms), last_ms=max(known.last_ms, received_ms))
        return list(found.values())


@dataclass
class _Job:
    run: Callable[[Any], Any]
    effect: Callable[[Any], None] | None
    sheds: bool
    on_take: Callable[[], None] | None
    done: "asyncio.Future[Any]"


class MemoryStore:
    """The writer over a Disk: FIFO, groups, effects in order. `commit_delay_s` and `disk_full` are the simulation's faults."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.full = ""
        self.commit_delay_s: Callable[[], float] = lambda: 0.0
        self.disk_full: Callable[[], bool] = lambda: False
        self.on_commit: Callable[[Disk], None] | None = None
        self._jobs: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._dead = False
        self._group: list[_Job] = []
        """Being committed."""
        self._writer = spawn(self._write(), name="memory-writer")

    def submit(
        self,
        run: Callable[[Any], T],
        *,
        effect: Callable[[T], None] | None = None,
        sheds: bool = False,
        events: int = 0,
        size: int = 0,
        on_take: Callable[[], None] | None = None,
    ) -> "asyncio.Future[T]":
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._dead:
            done.set_exception(StoreError("the process has crashed"))
            return done
        self._jobs.append(_Job(run, effect, sheds, on_take, done))
        self._wake.set()
        return done

    async def read(self, query: Callable[[Any], T]) -> T:
        if self._dead:
            raise StoreError("the process has crashed")
        return query(self.disk)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._jobs:
                group = self._group = [self._jobs.popleft() for _ in range(len(self._jobs))]
                for job in group:
                    if job.on_take:
                        job.on_take()
                await asyncio.sleep(self.commit_delay_s())
                await self._commit(group)
                self._group = []

    async def _commit(self, group: list[_Job]) -> None:
        while self.disk_full():
            self.full = "disk full"
            self._shed(group)
            group[:] = [job for job in group if not job.sheds]
            await asyncio.sleep(1)
            waiting = list(self._jobs)
            self._jobs = deque(job for job in waiting if not job.sheds)
            self._shed(waiting)
        self.full = ""
        results = [self._run(job) for job in group]
        self.disk.commits += 1
        if self.on_commit:
            self.on_commit(self.disk)
        for job, (result, error) in zip(group, results, strict=True):
            if error is None and job.effect:
                job.effect(result)
            if not job.done.done():
                job.done.set_exception(error) if error else job.done.set_result(result)

    def _shed(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if job.sheds:
                if job.on_take:
                    job.on_take()
                job.done.set_exception(StoreError("disk full"))

    def _run(self, job: _Job) -> tuple[Any, Exception | None]:
        try:
            return job.run(self.disk), None
        except (KeyError, ValueError) as error:
            return None, error

    def crash(self) -> None:
        """Nothing that was not committed survives; nobody is answered any more."""
        self._dead = True
        self._writer.cancel()
        self._jobs.clear()

    async def close(self) -> None:
        while self._jobs or self._group:
            await asyncio.sleep(0.001)
        self._dead = True
        self._writer.cancel()
        await asyncio.wait([self._writer])


class MemoryOutbox(LedgerOutbox):
    """An outbox on a Disk. Making one needs a running loop; `await close()` ends it."""

    def __init__(self, clock: Clock, *, disk: Disk | None = None, keep: Keep | None = None, limits: Limits | None = None) -> None:
        self.disk = disk or Disk()
        self.store = MemoryStore(self.disk)
        super().__init__(self.store, clock, head=self.disk.last, keep=keep, limits=limits)
