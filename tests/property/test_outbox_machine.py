"""Memory and SQLite in step: whatever is done to both, both answer the same, hold the same, and balance."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from relay.outbox.interface import DEAD, PARKED, RETRY, ROUTER, WHOLE, Attempt, Outcome, RefusedMessage, Selection, Settlement
from relay.outbox.ledger import whole
from relay.outbox.operations import Keep
from tests.contract.engines import HOUR_S, Engine, MemoryEngine, SqliteEngine, check_books, event
from tests.support.inline_sqlite import InlineThread

NAMES = ("d", "e", "d#1")
SOURCES = ("s1", "s2")
SUBS = ("a", "b", "c")
KEEP = Keep(log_s=10 * HOUR_S, dead_s=20 * HOUR_S, tallies_s=30 * HOUR_S)

names = st.sampled_from(NAMES)
near = st.integers(1, 12)
"""A seq above the cursor, or one of the first."""
results = st.sampled_from(["delivered", "filtered", DEAD, RETRY])
selections = st.builds(
    Selection,
    seqs=st.lists(st.integers(1, 20), max_size=3).map(tuple),
    message_ids=st.lists(st.integers(0, 15).map("m{}".format), max_size=2).map(tuple),
    code=st.sampled_from(["", "400", "404"]),
)


class InlineSqliteEngine(SqliteEngine):
    """SQLite without threads, so that an example is fast and repeats exactly."""

    hop = InlineThread


def outcome_of(sub: str, result: str, attempts: int, at_s: float) -> Outcome:
    code = "400" if attempts % 2 else "404"
    return Outcome(sub, result, code, attempts, at_s, at_s + 5 if result == RETRY else 0.0, 400, b'{"n":1}' if result in (RETRY, DEAD) else b"")


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-machine-"))
        self.engines: list[Engine] = [MemoryEngine(self.folder, keep=KEEP), InlineSqliteEngine(self.folder, keep=KEEP)]
        self.consumers: dict[str, list[Any]] = {}
        self.stale: dict[str, list[Any]] = {}
        for engine in self.engines:
            self.loop.run_until_complete(engine.start())

    def teardown(self) -> None:
        for engine in self.engines:
            self.loop.run_until_complete(engine.stop())
        self.loop.close()
        shutil.rmtree(self.folder)

    def both(self, call: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run on each engine; the answers, and then all that can be seen, must be equal."""
        answers = [self.loop.run_until_complete(self._answer(call(engine.bare))) for engine in self.engines]
        assert answers[0] == answers[1]
        views = [self.loop.run_until_complete(self._view(engine.bare)) for engine in self.engines]
        for key in views[0]:
            assert views[0][key] == views[1][key], key
        return answers[0]

    async def _answer(self, call: Awaitable[Any]) -> Any:
        async with asyncio.timeout(5):
            try:
                return await call
            except KeyError as error:
                return repr(error)

    async def _view(self, outbox: Any) -> dict[str, Any]:
        """Everything that can be read of an outbox."""
        await check_books(outbox)
        view: dict[str, Any] = {"head": outbox.head, "names": await outbox.names(), "tallies": await outbox.history.tallies(0, 1 << 40)}
        view["log"] = [(seq, one.message_id, one.received_ms, one.body) async for page in outbox.history.scan() for seq, one in page]
        for name in view["names"]:
            view[name] = (await outbox.cursor(name), await outbox.balance(name), await outbox.depth(name))
            view[f"{name} dead"] = [(row, one and one.body) for row, one in await outbox.history.dead(name, Selection())]
        logged = {seq for seq, *_ in view["log"]}
        lowest = min([cursor.pos for name in view["names"] if (cursor := view[name][0])], default=outbox.head)
        for seq in range(1, outbox.head + 1):
            view[f"rows {seq}"] = rows = await outbox.history.rows(seq)
            view[f"timeline {seq}"] = await outbox.history.timeline(seq)
            assert seq in logged or (not rows and seq <= lowest), seq
        return view

    def _settle(self, consumers: list[Any], settlements: list[Settlement], **more: Any) -> None:
        by_outbox = dict(zip([id(engine.bare) for engine in self.engines], consumers, strict=True))
        self.both(lambda outbox: by_outbox[id(outbox)].settle(settlements, **more))

    def _pair(self, call: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        return [self.loop.run_until_complete(self._answer(call(engine.bare))) for engine in self.engines]

    @property
    def now_s(self) -> float:
        return self.engines[0].clock.at_s

    @initialize()
    def begin(self) -> None:
        for name in (ROUTER, "d"):
            self.both(lambda outbox, name=name: outbox.create(name))
        self.append([(i, "s1" if i % 3 else "s2", f"u{i % 2}") for i in range(6)])
        self.open("d")
        self.open(ROUTER)

    @rule(what=st.lists(st.tuples(st.integers(0, 15), st.sampled_from(SOURCES), st.sampled_from(["u0", "u1"])), min_size=1, max_size=6))
    def append(self, what: list[tuple[int, str, str]]) -> None:
        events = [event(f"m{i}", source=source, user=user, at_s=self.now_s) for i, source, user in what]
        refused = RefusedMessage(what[0][1], "looped", int(self.now_s * 1000))
        self.both(lambda outbox: outbox.append(events, [refused]))

    @rule(name=names, back=near, span=st.integers(0, 8))
    def create(self, name: str, back: int, span: int) -> None:
        head = self.engines[0].bare.head
        oldest = min(self.engines[0].disk.log, default=head + 1)  # a consumer never starts below what is kept
        at = max(oldest - 1, head - back)
        self.both(lambda outbox: outbox.create(name, at=at, end=min(head, at + span) if "#" in name else None))

    @rule(name=st.sampled_from((*NAMES, ROUTER)))
    def open(self, name: str) -> None:
        pair = self._pair(lambda outbox: outbox.open(name))
        if isinstance(pair[0], str):
            assert pair[0] == pair[1]
            return
        assert (pair[0].cursor, list(pair[0].rows)) == (pair[1].cursor, list(pair[1].rows))
        if name in self.consumers:
            self.stale[name] = self.consumers[name]
        self.consumers[name] = pair

    def _bounds(self, name: str) -> tuple[int, int] | None:
        cursor = self.loop.run_until_complete(self.engines[0].bare.cursor(name))
        if cursor is None or name not in self.consumers:
            return None
        return cursor.pos, cursor.end if cursor.end is not None else self.engines[0].bare.head

    @rule(name=names, steps=st.lists(st.tuples(near, st.lists(results, max_size=3)), min_size=1, max_size=5), park=st.booleans(), old=st.booleans())
    def settle_scanned(self, name: str, steps: list[tuple[int, list[str]]], park: bool, old: bool) -> None:
        bounds = self._bounds(name)
        if bounds is None:
            return
        pos, end = bounds
        settlements, attempts = [], []
        for step, chosen in steps:
            seq = pos + step - 2
            if not 0 < seq <= end:
                continue
            outcomes = tuple(outcome_of(SUBS[i], result, i + 1, self.now_s) for i, result in enumerate(chosen))
            if park and not step % 3:
                outcomes = (whole(PARKED, "parked"),)
            settlements.append(Settlement(seq, "s1", outcomes, ("u0", "u1")[: step % 3]))
            attempts += [Attempt(seq, o.subscription_id, o.attempts, o.result, o.code, o.status, 1.5, self.now_s, 1) for o in outcomes]
        consumers = self.stale.get(name) if old else None
        self._settle(consumers or self.consumers[name], settlements, attempts=attempts, state={"n": len(steps), "hold": {"by": "relay"}})

    @rule(name=names, pick=st.integers(0, 20), chosen=st.lists(results, max_size=3), twice=st.booleans())
    def settle_row(self, name: str, pick: int, chosen: list[str], twice: bool) -> None:
        rows = self.engines[0].disk.open_rows(name)
        if not rows or name not in self.consumers:
            return
        row = rows[pick % len(rows)]
        subs = SUBS if row.subscription_id == WHOLE else (row.subscription_id,)
        outcomes = tuple(outcome_of(sub, result, row.attempts + 1, self.now_s) for sub, result in zip(subs, chosen, strict=False))
        self._settle(self.consumers[name], [Settlement(row.seq, row.source_id, outcomes, row.keys, row.subscription_id)] * (1 + twice))

    @rule(name=st.sampled_from((*NAMES, ROUTER)), first=near, span=st.integers(0, 9))
    def skip(self, name: str, first: int, span: int) -> None:
        bounds = self._bounds(name)
        if bounds is None or bounds[0] + first > bounds[1]:
            return
        first += bounds[0]
        derived = [event(f"r{first}", source="s2", at_s=self.now_s)] if name == ROUTER else []
        self._settle(self.consumers[name], [Settlement(first, "", last=min(first + span, bounds[1]))], derived=derived)

    @rule(name=names, which=selections)
    def resend(self, name: str, which: Selection) -> None:
        self.both(lambda outbox: outbox.resend(name, which))

    @rule(name=names, which=selections)
    def discard(self, name: str, which: Selection) -> None:
        self.both(lambda outbox: outbox.discard(name, which))

    @rule(name=names, upto=st.integers(0, 20), sources=st.sets(st.sampled_from(SOURCES)).map(frozenset))
    def expire(self, name: str, upto: int, sources: frozenset[str]) -> None:
        self.both(lambda outbox: outbox.expire(name, upto, sources))

    @rule(name=st.sampled_from(("e", "d#1")))
    def remove(self, name: str) -> None:
        self.both(lambda outbox: outbox.remove(name, frozenset(SOURCES)))

    @rule(user=st.sampled_from(["u0", "u1"]), after=st.integers(0, 10), limit=st.integers(1, 20))
    def erase(self, user: str, after: int, limit: int) -> None:
        self.both(lambda outbox: outbox.erase([user], after=after, limit=limit))

    @rule(name=names, by=st.sampled_from(["user", None]))
    def hold(self, name: str, by: str | None) -> None:
        self.both(lambda outbox: outbox.set_state(name, lambda state: state | {"hold": {"by": by}} if by else {}))

    @rule(hours=st.sampled_from([0.01, 1, 9, 25]))
    def trim(self, hours: float) -> None:
        for engine in self.engines:
            engine.clock.at_s += hours * HOUR_S
        self.both(lambda outbox: outbox.trim())

    @rule(message=st.integers(0, 15), rotate=st.booleans())
    def find(self, message: int, rotate: bool) -> None:
        if rotate:
            self.both(lambda outbox: outbox.rotate_dedup())
        for source in (None, *SOURCES):
            self.both(lambda outbox, source=source: self._found(outbox, f"m{message}", source))

    async def _found(self, outbox: Any, message_id: str, source: str | None) -> list[int]:
        return [claim.seq for claim in await outbox.history.find(message_id, source)]

    @rule()
    def reopen(self) -> None:
        for engine in self.engines:
            self.loop.run_until_complete(engine.reopen())
        self.consumers, self.stale = {}, {}
        for name in (ROUTER, *NAMES):
            self.open(name)

    @invariant()
    def both_tell_their_consumers_the_same(self) -> None:
        for name, (left, right) in self.consumers.items():
            assert [_told(changed) for changed in left.changes] == [_told(changed) for changed in right.changes], name


def _told(changed: Any) -> Any:
    return (changed.opened, sorted(changed.closed), changed.expired, changed.state, changed.rescan)


def test_memory_and_sqlite_stay_in_step() -> None:
    run_state_machine_as_test(
        OutboxMachine,
        settings=settings(
            max_examples=20, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
        ),
    )
