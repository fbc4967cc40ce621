"""What every outbox engine promises (outbox page). Written against `relay.outbox.interface`; the books are checked after each call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relay.base.codes import Door
from relay.base.event import DELETED
from relay.base.jsonio import dumps
from relay.base.tasks import spawn
from relay.errors import StoreError
from relay.kit.subjects import Subjects
from relay.observe.latency import LatencyKey
from relay.observe.rollup import DAY, HOUR
from relay.observe.tallies import Tally, TallyKey
from relay.outbox.interface import (
    DEAD,
    PARKED,
    RETRY,
    ROUTER,
    WHOLE,
    Appended,
    Attempt,
    Changed,
    HeldAttempt,
    Naming,
    Outcome,
    RefusedMessage,
    Sample,
    Seen,
    Selection,
    Settlement,
)
from relay.outbox.ledger import whole
from relay.outbox.operations import EXPIRE_STEP, REFUSED_A_GROUP, Keep
from tests.contract.engines import ENGINES, HOUR_S, START_S, Engine, check_books, dead_seqs, event, filled, open_rows, stored

S1 = frozenset({"s1"})
MINUTE = int(START_S // 60)


@pytest.fixture(params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    made = ENGINES[request.param](tmp_path, keep=Keep(log_s=72 * HOUR_S))
    await made.start()
    yield made
    async with asyncio.timeout(20):
        await made.stop()


def delivered(sub: str = "a", attempts: int = 1) -> Outcome:
    return Outcome(sub, "delivered", "delivered", attempts, START_S)


def retry(sub: str = "a", attempts: int = 1, detail: bytes = b"") -> Outcome:
    return Outcome(sub, RETRY, "ETIMEDOUT", attempts, START_S, START_S + 1, 503, detail)


def dead(sub: str = "a", code: str = "400", attempts: int = 1) -> Outcome:
    return Outcome(sub, DEAD, code, attempts, START_S, 0.0, 400, b'{"answer":1}')


def scanned(seq: int, *outcomes: Outcome, source: str = "s1", keys: tuple[str, ...] = ("u1",)) -> Settlement:
    return Settlement(seq, source, outcomes, keys)


def skipped(first: int, last: int = 0) -> Settlement:
    return Settlement(first, "", last=last)


def ended(seq: int, row: str, *outcomes: Outcome, keys: tuple[str, ...] = ("u1",)) -> Settlement:
    return Settlement(seq, "s1", outcomes, keys, row)


# append


async def test_an_append_is_durable_and_in_order(engine: Engine) -> None:
    woken: list[int] = []
    engine.outbox.on_append = woken.append
    answers = await filled(engine.outbox, 700)
    assert answers == [Appended(seq, False) for seq in range(1, 701)]
    assert woken == [700]
    outbox = await engine.reopen()
    assert outbox.head == 700
    pages = [page async for page in outbox.history.scan()]
    assert [len(page) for page in pages] == [500, 200]
    claims = [claim for page in pages for claim in page]
    assert [(claim.seq, claim.event.message_id) for claim in claims] == [(seq, f"m{seq}") for seq in range(1, 701)]
    first = claims[0].event
    assert (first.source_id, first.user_id, first.type, first.received_ms, first.body) == ("s1", "u1", "track", START_S * 1000, event("m1").body)


async def test_a_duplicate_is_told_with_the_seq_of_the_first_one(engine: Engine) -> None:
    outbox = engine.outbox
    assert await outbox.append([event("a"), event("b"), event("a")]) == [Appended(1, False), Appended(2, False), Appended(1, True)]
    assert await outbox.append([event("b"), event("b", source="s2")]) == [Appended(2, True), Appended(3, False)]
    outbox = await engine.reopen()
    assert await outbox.append([event("a"), event("c")]) == [Appended(1, True), Appended(4, False)]
    assert await stored(outbox) == [1, 2, 3, 4]


async def test_duplicates_of_requests_that_share_a_commit_are_told(engine: Engine) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.bare.append([event("a"), event(f"own{i}")])) for i in range(20)]
    answers = [task.result() for task in tasks]
    assert [answer[0] for answer in answers] == [Appended(1, i > 0) for i in range(20)]
    assert sorted(answer[1].seq for answer in answers) == list(range(2, 22))
    assert engine.bare.head == 21


async def test_a_duplicate_is_known_for_two_rotations_and_forgotten_by_the_third(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.append([event("a")])
    for _ in range(2):
        await engine.rotate_dedup()
        assert await outbox.append([event("a")]) == [Appended(1, True)]
    outbox = await engine.reopen()
    assert await outbox.append([event("a")]) == [Appended(1, True)]
    await engine.rotate_dedup()
    assert await outbox.append([event("a")]) == [Appended(2, False)]


async def test_a_hash_that_hits_another_message_drops_nothing(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.append([event("a")])
    await engine.collide("s1", "b", 1)
    assert await outbox.append([event("b"), event("b")]) == [Appended(2, False), Appended(2, True)]
    assert await outbox.append([event("b"), event("a")]) == [Appended(2, True), Appended(1, True)]


async def test_a_message_whose_first_copy_was_erased_or_trimmed_is_still_a_duplicate(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.append([event("a"), event("b", user="u2")])
    await outbox.erase(["u1"])
    assert await outbox.append([event("a")]) == [Appended(1, True)]
    engine.clock.at_s += 73 * HOUR_S
    assert await outbox.trim() == 2
    assert await outbox.append([event("a"), event("b")]) == [Appended(1, True), Appended(2, True)]


async def test_requests_that_wait_share_a_commit_and_each_gets_its_own_answers(engine: Engine) -> None:
    heads: list[int] = []
    engine.bare.on_append = heads.append
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.bare.append([event(f"{i}.{j}") for j in range(i % 4)])) for i in range(200)]
    answers = [task.result() for task in tasks]
    assert [len(answer) for answer in answers] == [i % 4 for i in range(200)]
    assert [one.seq for answer in answers for one in answer] == list(range(1, 301))
    assert heads[-1] == 300 and len(heads) < 20
    assert engine.bare.pressure().waiting_bytes == 0


async def test_a_cancelled_caller_does_not_undo_an_append(engine: Engine) -> None:
    task = spawn(engine.bare.append([event("a")]), name="append")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await engine.bare.append([event("b")])
    assert await stored(engine.bare) == [1, 2]


async def test_what_was_refused_is_counted_in_the_same_commit(engine: Engine) -> None:
    key = TallyKey(MINUTE, "s1", "", "ingest", "too_deep", False)
    refused = RefusedMessage("s1", "too_deep", int(START_S * 1000), "x")
    await engine.outbox.append([event("a")], [refused] * 3)
    await engine.outbox.append([], [refused] * 2)
    assert await engine.outbox.history.tallies(MINUTE, MINUTE + 1) == {key: 5}
    assert await engine.outbox.history.tallies(MINUTE + 1, MINUTE + 9) == {}
    assert engine.bare.totals.counts == {key[1:]: 5}


async def test_a_full_disk_sheds_appends_but_neither_settles_nor_internal_events(engine: Engine) -> None:
    outbox = engine.bare
    await filled(outbox, 2)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await engine.fill()
    refused = spawn(outbox.append([event("big", size=300_000)]), name="append")
    settled = spawn(consumer.settle([scanned(1, retry(detail=b"x" * 300_000))]), name="settle")
    internal = spawn(outbox.append([event("alert", size=300_000)], internal=True), name="internal")
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="disk full"):
            await refused
        with pytest.raises(StoreError, match="disk full"):
            await outbox.append([event("small", size=100_000)])
    assert not settled.done() and not internal.done()
    assert outbox.pressure().full == "disk full"
    await engine.free()
    async with asyncio.timeout(5):
        await settled
        assert await internal == [Appended(3, False)]
        assert await outbox.append([event("big")]) == [Appended(4, False)]
    assert outbox.pressure().full == ""
    assert (await outbox.depth("d")).retry == 1
    await check_books(outbox)


async def test_a_seq_is_never_used_again_after_the_log_was_emptied(engine: Engine) -> None:
    await filled(engine.outbox, 3)
    engine.clock.at_s += 100 * HOUR_S
    assert await engine.outbox.trim() == 3
    outbox = await engine.reopen()
    assert (outbox.head, await stored(outbox)) == (3, [])
    assert await outbox.append([event("new")]) == [Appended(4, False)]


# consumers


async def test_a_consumer_starts_at_the_head_or_where_it_is_told(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 3)
    await outbox.create("new")
    await outbox.create("old", at=1, state={"hold": {"by": "user"}})
    await outbox.create("d#1", at=0, end=2)
    await outbox.create("new", at=0)  # left as it is
    assert sorted(await outbox.names()) == ["d#1", "new", "old"]
    new, old, job = [await outbox.cursor(name) for name in ("new", "old", "d#1")]
    assert (new.start, new.pos, new.end) == (3, 3, None)
    assert (old.start, old.pos, old.state) == (1, 1, {"hold": {"by": "user"}})
    assert (job.start, job.pos, job.end) == (0, 0, 2)
    assert await outbox.cursor("stranger") is None
    assert (await outbox.balance("old")).unscanned == 2 and (await outbox.balance("d#1")).unscanned == 2
    for call in (outbox.open("stranger"), outbox.balance("stranger"), outbox.resend("stranger", Selection()), outbox.expire("stranger", 1, S1)):
        with pytest.raises(KeyError):
            await call


async def test_what_a_predecessor_settles_after_the_open_changes_nothing_and_counts_late(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 3)
    await outbox.create("d", at=0)
    old = await outbox.open("d")
    await old.settle([scanned(1, delivered())])
    new = await outbox.open("d")
    assert (new.cursor.pos, new.cursor.epoch) == (1, old.cursor.epoch + 1)
    line = Attempt(2, "a", 1, "delivered", "delivered", 200, 1.0, START_S, 1)
    await old.settle([scanned(2, delivered()), scanned(3, dead())], attempts=[line], state={"breaker": {"state": "open"}}, derived=[event("derived")])
    cursor = await outbox.cursor("d")
    assert (cursor.pos, cursor.late, cursor.doors, cursor.state) == (1, 2, {"delivered": 1}, {})
    assert (outbox.head, await outbox.history.timeline(2)) == (3, [])
    await new.settle([scanned(2, delivered())])
    assert (await outbox.cursor("d")).doors == {"delivered": 2}


async def test_of_two_that_open_at_once_only_the_last_one_settles(engine: Engine) -> None:
    await filled(engine.outbox, 2)
    await engine.outbox.create("d", at=0)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.bare.open("d")) for _ in range(2)]
    first, second = [task.result() for task in tasks]
    assert (first.cursor.epoch, second.cursor.epoch) == (1, 2)
    await first.settle([scanned(1, delivered())])
    await second.settle([scanned(2, delivered())])
    cursor = await engine.outbox.cursor("d")
    assert (cursor.pos, cursor.ahead, cursor.late) == (0, 0b10, 1)


async def test_a_consumer_made_again_right_after_its_removal_hears_of_changes(engine: Engine) -> None:
    await filled(engine.outbox, 1)
    await engine.outbox.create("d")
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.bare.remove("d"))
        group.create_task(engine.bare.create("d"))
        opening = group.create_task(engine.bare.open("d"))
    await engine.outbox.set_state("d", lambda _: {"hold": {"by": "user"}})
    assert [changed.state for changed in opening.result().changes] == [{"hold": {"by": "user"}}]


async def test_settling_above_the_cursor_is_remembered_and_the_cursor_moves_over_it(engine: Engine) -> None:
    await filled(engine.outbox, 6)
    await engine.outbox.create("d", at=0)
    consumer = await engine.outbox.open("d")
    await consumer.settle([scanned(3, delivered()), scanned(5, delivered())])
    cursor = await engine.outbox.cursor("d")
    assert (cursor.pos, cursor.ahead, (await engine.outbox.balance("d")).unscanned) == (0, 0b10100, 4)
    assert [seq for seq in range(1, 7) if cursor.is_done(seq)] == [3, 5]
    await consumer.settle([scanned(3, dead())])
    await consumer.settle([scanned(1, delivered()), scanned(2, delivered())])
    cursor = await (await engine.reopen()).cursor("d")
    assert (cursor.pos, cursor.ahead, cursor.late, cursor.doors) == (3, 0b10, 1, {"delivered": 4})


async def test_ranges_are_skipped_over_what_is_done(engine: Engine) -> None:
    await filled(engine.outbox, 5_000)
    await engine.outbox.create("d", at=0)
    consumer = await engine.outbox.open("d")
    await consumer.settle([scanned(2, delivered()), skipped(1, 3), skipped(4, 4_050), skipped(4_000)])
    cursor = await engine.outbox.cursor("d")
    assert (cursor.pos, cursor.ahead, cursor.skipped, cursor.late) == (4_050, 0, 4_049, 0)
    balance = await engine.outbox.balance("d")
    assert (balance.accepted, balance.pending) == (951, 950)


async def test_an_event_with_several_units_is_several_entries(engine: Engine) -> None:
    await filled(engine.outbox, 1)
    await engine.outbox.create("d", at=0)
    consumer = await engine.outbox.open("d")
    await consumer.settle([scanned(1, delivered("a"), retry("b"), dead("c"), Outcome("e", "filtered", "FILTERED_AT_MAPPING"))])
    balance = await engine.outbox.balance("d")
    assert (balance.extra, balance.open, balance.doors) == (3, 1, {"delivered": 1, "dead": 1, "filtered": 1})
    assert await engine.outbox.history.tallies(0, MINUTE + 1) == {
        TallyKey(MINUTE, "s1", "d", stage, code, True): 1
        for stage, code in (("delivered", "delivered"), (RETRY, "ETIMEDOUT"), (DEAD, "400"), ("filtered", "FILTERED_AT_MAPPING"))
    }


async def test_a_row_ends_once_and_what_comes_later_is_late(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 1)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await consumer.settle([scanned(1, retry())])
    row = (await open_rows(outbox, "d"))[(1, "a")]
    assert (row.state, row.attempts, row.first_s, row.due_s, row.keys, row.code, row.status) == (
        RETRY,
        1,
        START_S,
        START_S + 1,
        ("u1",),
        "ETIMEDOUT",
        503,
    )
    consumer = await outbox.open("d")
    await consumer.settle([ended(1, "a", retry(attempts=2))])
    assert (await open_rows(outbox, "d"))[(1, "a")].attempts == 2
    consumer = await outbox.open("d")
    await consumer.settle([ended(1, "a", delivered(attempts=3)), ended(1, "a", delivered(attempts=3)), ended(1, "b", dead())])
    cursor = await outbox.cursor("d")
    assert (cursor.doors, cursor.late, cursor.extra) == ({"delivered": 1}, 2, 0)
    assert await open_rows(outbox, "d") == {}
    assert (await outbox.history.tallies(0, MINUTE + 1))[TallyKey(MINUTE, "s1", "d", "delivered", "delivered", False)] == 1


async def test_a_whole_parked_event_is_split_or_skipped_when_it_is_released(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 3)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await consumer.settle([scanned(1, retry()), scanned(2, whole(PARKED, "parked"), keys=("u1", "anon")), scanned(3, whole(PARKED, "parked"))])
    depth = await outbox.depth("d")
    assert (depth.pending, depth.retry, depth.parked, depth.dead, depth.oldest_s) == (3, 1, 2, 0, START_S)
    consumer = await outbox.open("d")
    parked = next(row for row in consumer.rows if row.seq == 2)
    assert (parked.subscription_id, parked.state, parked.keys, parked.attempts) == (WHOLE, PARKED, ("u1", "anon"), 0)
    await consumer.settle([ended(2, WHOLE, delivered("a"), retry("b"), keys=("u1", "anon"))])
    assert (await outbox.balance("d")).extra == 1
    await consumer.settle([ended(3, WHOLE)])
    balance = await outbox.balance("d")
    assert (balance.extra, balance.open, balance.doors) == (0, 2, {"delivered": 1})
    assert set(await open_rows(outbox, "d")) == {(1, "a"), (2, "b")}


async def test_the_events_of_rows_are_fetched_and_a_missing_one_is_no_error(engine: Engine) -> None:
    await filled(engine.outbox, 2)
    await engine.outbox.create("d", at=0)
    consumer = await engine.outbox.open("d")
    found = await consumer.fetch([2, 9])
    assert {seq: one.message_id for seq, one in found.items()} == {2: "m2"}
    assert await consumer.fetch([]) == {}


async def test_a_consumer_reads_its_sources_in_order_and_hears_how_far_it_looked(engine: Engine) -> None:
    for seq in range(1, 7):
        await filled(engine.outbox, 1, first=seq, source="s1" if seq % 2 else "s2")
    await engine.outbox.create("d", at=0)
    consumer = await engine.outbox.open("d")
    claims, upto = await consumer.read(0, 4, S1)
    assert ([claim.seq for claim in claims], upto) == ([1, 3], 4)
    claims, upto = await consumer.read(4, 4, S1)
    assert ([claim.seq for claim in claims], upto) == ([5], 6)
    assert await consumer.read(6, 4, S1) == ([], 6)
    claims, upto = await consumer.read(0, 100)
    assert [claim.seq for claim in claims] == [1, 2, 3, 4, 5, 6]


async def test_reading_over_a_trimmed_part_goes_on_to_the_head(engine: Engine) -> None:
    await filled(engine.outbox, 5)
    engine.clock.at_s += 100 * HOUR_S
    assert await engine.outbox.trim() == 5
    await engine.outbox.create("d#1", at=0, end=4)
    replay = await engine.outbox.open("d#1")
    assert await replay.read(0, 100) == ([], 5)


async def test_the_router_gets_fresh_events_from_memory_and_old_ones_from_the_log(engine: Engine) -> None:
    await filled(engine.outbox, 3)
    await engine.outbox.create(ROUTER, at=0)
    router = await engine.outbox.open(ROUTER)
    for _ in range(2):  # the second time they have left the memory
        claims, upto = await router.read(0, 2)
        assert ([(claim.seq, claim.event.message_id) for claim in claims], upto) == ([(1, "m1"), (2, "m2")], 2)
    claims, upto = await router.read(2, 100)
    assert ([claim.seq for claim in claims], upto) == ([3], 3)
    outbox = await engine.reopen()
    claims, upto = await (await outbox.open(ROUTER)).read(1, 100)
    assert ([claim.seq for claim in claims], upto) == ([2, 3], 3)


async def test_refused_messages_and_duplicates_are_kept_for_people(engine: Engine) -> None:
    outbox, told = engine.outbox, []
    engine.bare.on_refused = told.extend
    await outbox.append([event("a")], [RefusedMessage("s1", "id_required", int(START_S * 1000), "bad", "group", body=b'{"type":"group"}')])
    await outbox.append([event("a"), event("b")])
    outbox = await engine.reopen()
    bad, again = await outbox.history.refused()
    assert (bad.refused_id, bad.code, bad.message_id, bad.payload) == (1, "id_required", "bad", {"type": "group"})
    assert (again.refused_id, again.code, again.message_id, again.seq) == (2, "duplicate", "a", 1)
    assert again.payload["event"] == "Clicked"
    assert await outbox.history.refused(message_id="a") == [again]
    assert await outbox.history.refused(refused_id=1) == [bad]
    assert await outbox.history.refused(refused_id=9) == []
    assert told == [bad, again]
    counts = await outbox.history.tallies(MINUTE, MINUTE + 1)
    assert counts == {TallyKey(MINUTE, "s1", "", "ingest", code, False): 1 for code in ("id_required", "duplicate")}


async def test_a_flood_of_refused_messages_is_counted_but_not_all_kept(engine: Engine) -> None:
    await engine.outbox.append([], [RefusedMessage("s1", "too_deep", int(START_S * 1000), f"m{i}") for i in range(500)])
    assert len(await engine.outbox.history.refused(limit=1000)) == REFUSED_A_GROUP
    assert sum((await engine.outbox.history.tallies(MINUTE, MINUTE + 1)).values()) == 500


async def test_refused_messages_go_with_the_history_and_their_ids_are_not_used_again(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.append([], [RefusedMessage("s1", "too_deep", int(START_S * 1000), f"m{i}") for i in range(5)])
    engine.clock.at_s += 100 * HOUR_S
    await outbox.trim()
    assert [one.refused_id for one in await outbox.history.refused()] == [5]
    await outbox.append([], [RefusedMessage("s1", "too_deep", int(engine.clock.at_s * 1000), "new")])
    assert [one.refused_id for one in await outbox.history.refused()] == [5, 6]


async def test_an_event_is_found_after_its_dedup_key_is_gone(engine: Engine) -> None:
    await engine.outbox.append([event('m"1'), event("m2"), event("m3", properties={"note": '"messageId":"m2"'})])
    for _ in range(3):
        await engine.rotate_dedup()
    history = engine.outbox.history
    assert [claim.seq for claim in await history.find('m"1')] == [1]
    assert [claim.seq for claim in await history.find("m2", "s1")] == [2]
    assert await history.find("m2", "s2") == await history.find("m") == []


async def test_a_person_hastens_a_retry_and_gives_up_what_waits(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 3)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    changes: list[Changed] = []
    engine.bare._consumers["d"].on_change = changes.append
    later = START_S + 600
    retry = Outcome("sub", RETRY, "500", 1, START_S, later)
    await consumer.settle([scanned(1, retry), scanned(2, retry), scanned(3, Outcome(WHOLE, PARKED, "parked"))])
    assert await outbox.hasten("d", [1, 3, 99]) == 1
    assert changes[-1].due == ((1, "sub"),)
    assert [row.due_s for _, row in await outbox.history.rows(1)] == [START_S]
    assert await outbox.hasten("d", [1]) == 0
    assert await outbox.abandon("d", [2, 3]) == 2
    assert changes[-1].closed == ((2, "sub"), (3, WHOLE))
    assert (await outbox.balance("d")).doors == {"discarded": 2}
    assert (await outbox.depth("d")).pending == 1


async def test_a_router_step_is_one_commit_of_cursor_tallies_and_derived_events(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 2)
    await outbox.create(ROUTER, at=0)
    router = await outbox.open(ROUTER)
    heads: list[int] = []
    outbox.on_append = heads.append
    key = TallyKey(MINUTE, "s1", "", "source", "routed", True)
    step = [scanned(1, Outcome(WHOLE, "filtered", "routed")), scanned(2, Outcome(WHOLE, "filtered", "routed"))]
    await router.settle(step, tally={key: 2}, derived=[event("m1"), event("derived")])
    assert (heads, outbox.head) == ([3], 3)
    assert (await outbox.cursor(ROUTER)).pos == 2
    assert await outbox.history.tallies(0, MINUTE + 1) == {key: 2}
    assert [claim.event.message_id for claim in (await router.read(2, 9))[0]] == ["derived"]


# dead letters


async def make_dead(engine: Engine) -> None:
    """Six events, dead at 'd': 1, 2 with code 400, 3 with 404 an hour later; 4 delivered, 5 waits, 6 not scanned."""
    await filled(engine.outbox, 6)
    await engine.outbox.create("d", at=0)
    consumer = await engine.outbox.open("d")
    await consumer.settle([scanned(1, dead("a"), dead("b")), scanned(2, dead()), scanned(4, delivered()), scanned(5, retry())])
    engine.clock.at_s += HOUR_S
    await consumer.settle([scanned(3, dead(code="404"))])


@pytest.mark.parametrize(
    ("which", "seqs"),
    [
        (Selection(), [1, 1, 2, 3]),
        (Selection(seqs=(2, 3, 5)), [2, 3]),
        (Selection(message_ids=("m1", "m4")), [1, 1]),
        (Selection(code="404"), [3]),
        (Selection(since_s=START_S + 1), [3]),
        (Selection(until_s=START_S + 1), [1, 1, 2]),
        (Selection(seqs=(1, 3), code="400", message_ids=("m1",), until_s=START_S + HOUR_S), [1, 1]),
        (Selection(since_s=START_S, until_s=START_S), []),
    ],
)
async def test_dead_letters_are_found_by_every_condition(engine: Engine, which: Selection, seqs: list[int]) -> None:
    await make_dead(engine)
    assert await dead_seqs(engine.outbox, "d", which) == seqs
    assert await engine.outbox.history.count_dead("d", which) == len(seqs)
    assert await engine.outbox.resend("d", which) == len(seqs)
    assert await engine.outbox.history.count_dead("d", Selection()) == 4 - len(seqs)


async def test_dead_letters_are_listed_with_event_and_answer_in_pages(engine: Engine) -> None:
    await make_dead(engine)
    found = await engine.outbox.history.dead("d", Selection(), after_seq=1, limit=1)
    [(row, claim)] = found
    assert (row.seq, row.subscription_id, row.state, row.code, row.status, row.detail, row.changed_s) == (
        2,
        "a",
        DEAD,
        "400",
        400,
        b'{"answer":1}',
        START_S,
    )
    assert claim.message_id == "m2"
    assert (await engine.outbox.depth("d")).dead == 4


async def test_a_dead_letter_that_is_sent_again_starts_anew_and_holds_no_lane(engine: Engine) -> None:
    await make_dead(engine)
    assert await engine.outbox.resend("d", Selection(seqs=(2,))) == 1
    assert await engine.outbox.resend("d", Selection(seqs=(2,))) == 0
    balance = await engine.outbox.balance("d")
    assert (balance.extra, balance.open, balance.doors[DEAD]) == (2, 2, 4)
    consumer = await engine.outbox.open("d")
    row = next(row for row in consumer.rows if row.seq == 2)
    assert (row.state, row.attempts, row.first_s, row.resend, row.due_s) == (RETRY, 0, 0.0, True, START_S + HOUR_S)
    await consumer.settle([ended(2, "a", retry())])
    assert (await open_rows(engine.outbox, "d"))[(2, "a")].resend
    consumer = await engine.outbox.open("d")
    await consumer.settle([ended(2, "a", dead(attempts=2))])
    assert (await engine.outbox.balance("d")).doors[DEAD] == 5
    assert await engine.outbox.resend("d", Selection(seqs=(2,))) == 1


async def test_discarded_dead_letters_are_gone_and_the_counters_stay(engine: Engine) -> None:
    await make_dead(engine)
    before = await engine.outbox.balance("d")
    told: list[Changed] = []
    engine.bare.on_changed.append(lambda name, changed: told.append(changed))
    assert await engine.outbox.discard("d", Selection(code="400")) == 3
    assert [len(changed.closed) for changed in told] == [3]
    assert await dead_seqs(engine.outbox, "d", Selection()) == [3]
    assert await engine.outbox.balance("d") == before


# messages to the consumer


async def test_a_resend_committed_together_with_an_open_is_not_lost(engine: Engine) -> None:
    await make_dead(engine)
    async with asyncio.TaskGroup() as group:
        early = group.create_task(engine.bare.resend("d", Selection(seqs=(1,))))
        opening = group.create_task(engine.bare.open("d"))
        late = group.create_task(engine.bare.resend("d", Selection(seqs=(2,))))
    assert (early.result(), late.result()) == (2, 1)
    consumer = opening.result()
    assert {row.seq for row in consumer.rows} == {1, 5}
    assert [row.seq for changed in consumer.changes for row in changed.opened] == [2]


async def test_messages_come_in_the_order_of_the_commits_and_only_to_the_successor(engine: Engine) -> None:
    await make_dead(engine)
    old, new = await engine.outbox.open("d"), await engine.outbox.open("d")
    heard: list[object] = []
    await engine.outbox.resend("d", Selection(seqs=(2,)))
    assert len(new.changes) == 1 and not old.changes
    new.on_change = heard.append
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.bare.expire("d", 2, S1))
        group.create_task(engine.bare.resend("d", Selection(seqs=(3,))))
        group.create_task(engine.bare.set_state("d", lambda state: state | {"hold": {"by": "user"}}))
        group.create_task(engine.bare.erase(["u1"]))
    expired, resent, held, erased = heard
    assert (expired.expired, set(expired.closed)) == (2, {(2, "a")})
    assert [row.seq for row in resent.opened] == [3]
    assert held.state == {"hold": {"by": "user"}}
    assert erased.rescan


async def test_an_actor_patches_the_state_but_never_the_hold_of_a_person(engine: Engine) -> None:
    await engine.outbox.create("d", state={"kept": 1, "breaker": {"state": "open"}})
    consumer = await engine.outbox.open("d")
    await consumer.settle([], state={"hold": {"by": "relay"}, "breaker": None})
    assert (await engine.outbox.cursor("d")).state == {"kept": 1, "hold": {"by": "relay"}}
    assert await engine.outbox.set_state("d", lambda state: state | {"hold": {"by": "user"}}) == {"kept": 1, "hold": {"by": "user"}}
    for hold in (None, {"by": "relay"}):
        await consumer.settle([], state={"hold": hold, "suspects": {"1/a": 1}})
        assert (await engine.outbox.cursor("d")).state == {"kept": 1, "hold": {"by": "user"}, "suspects": {"1/a": 1}}
    await engine.outbox.set_state("d", lambda state: {key: value for key, value in state.items() if key != "hold"})
    await consumer.settle([], state={"hold": {"by": "relay"}})
    assert (await engine.outbox.cursor("d")).state["hold"] == {"by": "relay"}
    assert [changed.state.get("hold") for changed in consumer.changes] == [{"by": "user"}, None]


# replay, expire, remove


async def test_a_replay_has_its_own_books_and_ends_at_its_end(engine: Engine) -> None:
    await make_dead(engine)
    live = await engine.outbox.balance("d")
    await engine.outbox.create("d#1", at=1, end=4, state={"replay": {"by": "anna"}})
    replay = await engine.outbox.open("d#1")
    await filled(engine.outbox, 2, first=10)
    assert (await engine.outbox.balance("d#1")).unscanned == 3
    await replay.settle([scanned(2, delivered()), scanned(3, retry()), skipped(4)])
    balance = await engine.outbox.balance("d#1")
    assert (balance.head, balance.unscanned, balance.open, balance.doors, balance.skipped) == (4, 0, 1, {"delivered": 1}, 1)
    await replay.settle([ended(3, "a", dead())])
    assert (await engine.outbox.depth("d#1")).pending == 0
    after = await engine.outbox.balance("d")
    assert (after.doors, after.open, after.extra) == (live.doors, live.open, live.extra)
    assert {key.destination_id for key in await engine.outbox.history.tallies(0, MINUTE + 999)} == {"d"}


async def test_what_is_pending_expires_rows_too_and_the_unconnected_is_skipped(engine: Engine) -> None:
    outbox = engine.outbox
    for seq, source in enumerate(("s1", "s1", "s2", "s1", "s1", "s1"), 1):
        await filled(outbox, 1, first=seq, source=source)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await consumer.settle([scanned(1, retry("a"), dead("b")), scanned(4, delivered()), scanned(6, retry())])
    assert await outbox.expire("d", 5, S1) == 3  # row 1, events 2 and 5
    balance = await outbox.balance("d")
    assert (balance.doors, balance.skipped, balance.open, balance.unscanned) == ({"dead": 1, "delivered": 1, "expired": 3}, 1, 1, 0)
    assert [(changed.expired, set(changed.closed)) for changed in consumer.changes] == [(5, {(1, "a")})]
    await consumer.settle([ended(1, "a", delivered()), scanned(2, delivered())])
    cursor = await outbox.cursor("d")
    assert (cursor.late, cursor.pos, cursor.doors["delivered"]) == (2, 6, 1)
    assert await outbox.expire("d", 5, S1) == 0
    assert await outbox.history.count_dead("d", Selection()) == 1


async def test_expire_takes_bounded_steps_and_never_passes_the_head_or_the_end(engine: Engine) -> None:
    await filled(engine.outbox, EXPIRE_STEP + 10)
    await engine.outbox.create("d", at=0)
    await engine.outbox.create("d#1", at=0, end=3)
    assert await engine.outbox.expire("d", 1 << 40, S1) == EXPIRE_STEP
    assert await engine.outbox.expire("d", 1 << 40, S1) == 10
    assert await engine.outbox.expire("d", 1 << 40, S1) == 0
    assert await engine.outbox.expire("d#1", 1 << 40, frozenset()) == 0
    assert (await engine.outbox.balance("d#1")).skipped == 3


async def test_a_removed_consumer_leaves_by_the_door_and_nothing_of_it_stays(engine: Engine) -> None:
    await make_dead(engine)
    consumer = await engine.outbox.open("d")
    await engine.outbox.remove("d", S1)
    assert (await engine.outbox.names(), await engine.outbox.cursor("d")) == ([], None)
    tallies = await engine.outbox.history.tallies(0, MINUTE + 999)
    assert {key.source_id: count for key, count in tallies.items() if key.code == "destination_removed"} == {"s1": 2}  # row 5, event 6
    assert await engine.outbox.history.rows(1) == []
    await consumer.settle([scanned(6, delivered())])
    await engine.outbox.remove("d")
    await engine.outbox.create("d")
    balance = await engine.outbox.balance("d")
    assert (balance.start, balance.doors, balance.open) == (6, {}, 0)


# erasure and retention


async def test_erased_events_stay_as_tombstones_and_their_dead_letters_go(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.append([event("m1"), event("m2", user="u2"), event("m3", kind="alias", user="u3", previousId="u1"), event("m4")])
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await consumer.settle([scanned(1, dead()), scanned(2, dead()), scanned(3, retry())])
    assert await outbox.erase(["u1", "nobody"]) == (3, 4)
    assert await outbox.erase(["u1"]) == (0, 4)
    events = await consumer.fetch([1, 2, 3, 4])
    assert [(events[seq].type, events[seq].body == b"", events[seq].keys) for seq in (1, 2, 3, 4)] == [
        (DELETED, True, ()),
        ("track", False, ("u2",)),
        (DELETED, True, ()),
        (DELETED, True, ()),
    ]
    assert await dead_seqs(outbox, "d", Selection()) == [2]
    balance = await outbox.balance("d")
    assert (balance.open, balance.doors[Door.DISCARDED]) == (0, 1), "what waited is given up"
    assert [(changed.rescan, changed.closed) for changed in consumer.changes] == [(True, ((3, "a"),))]
    assert await outbox.history.find("m1") == []
    claims, _ = await consumer.read(3, 9, S1)
    assert [(claim.seq, claim.event.type) for claim in claims] == [(4, DELETED)]


async def test_erasing_goes_slice_by_slice(engine: Engine) -> None:
    await filled(engine.outbox, 10)
    assert await engine.outbox.erase(["u1"], after=0, limit=4) == (4, 4)
    assert await engine.outbox.erase(["u1"], after=4, limit=4) == (4, 8)
    assert await engine.outbox.erase(["u1"], after=8, limit=4) == (2, 10)


async def test_what_would_be_erased_is_counted_slice_by_slice(engine: Engine) -> None:
    await filled(engine.outbox, 10)
    assert await engine.outbox.count_of(["u1"], after=0, limit=4) == (4, 4)
    assert await engine.outbox.count_of(["u1", "u2"], after=8, limit=4) == (2, 10)
    assert await engine.outbox.count_of(["u2"]) == (0, 10)
    await engine.outbox.erase(["u1"], after=0, limit=4)
    assert await engine.outbox.count_of(["u1"]) == (6, 10)


async def test_events_of_one_source_that_name_a_user_go_too_when_that_is_asked_for(engine: Engine) -> None:
    gone = "user-to-forget"
    naming = Naming("relay", Subjects([gone]))
    told = {"properties": {"text": f"the receiver says: no {gone}"}}
    await engine.outbox.append([event("m1", source="relay", user="relay", **told), event("m2", user="u2", **told), event("m3", user=gone)])
    assert await engine.outbox.count_of([gone], naming=naming) == (2, 3)
    assert await engine.outbox.count_of([gone]) == (1, 3)
    assert await engine.outbox.erase([gone], naming=naming) == (2, 3)
    assert await engine.outbox.count_of([gone], naming=naming) == (0, 3)
    assert [one.event.user_id for one in await engine.outbox.history.find("m2")] == ["u2"]


@pytest.mark.parametrize("outcome", [retry, dead])
async def test_an_outcome_of_an_event_that_was_erased_meanwhile_keeps_no_row(engine: Engine, outcome: Callable[[], Outcome]) -> None:
    outbox = engine.outbox
    await outbox.append([event("m1"), event("m2", user="u2")])
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await outbox.erase(["u1"])
    consumer.changes.clear()
    await consumer.settle([scanned(1, outcome()), scanned(2, outcome())])
    assert await outbox.history.rows(1) == []
    assert len(await outbox.history.rows(2)) == 1
    balance = await outbox.balance("d")
    assert (balance.unscanned, balance.open) == (0, 1 if outcome is retry else 0)
    assert balance.doors == ({Door.DISCARDED: 1} if outcome is retry else {Door.DEAD: 2})
    assert [changed.closed for changed in consumer.changes] == [((1, "a"),)]


async def test_what_is_kept_of_a_user_beside_the_log_is_found_and_goes(engine: Engine) -> None:
    outbox, gone = engine.outbox, "user-to-forget"
    users = Subjects([gone])
    body = dumps({"type": "track", "userId": gone})
    messages = [
        RefusedMessage("s1", "event_not_defined", 1, "m8", "track", user_id=gone, body=body),
        RefusedMessage("s1", "event_not_defined", 1, "m9", "track", user_id="u2", body=dumps({"userId": "u2"})),
        RefusedMessage("s1", "no_user_anon_id", 1, "m10", "track", body=dumps({"type": "track", "properties": {"id": gone}})),
    ]
    await outbox.append([event("m1", user=gone), event("m2", user="u2"), event("m3", user="u3"), event("m1", user=gone)], messages)
    await outbox.create("d", at=0, state={"hold": {"by": "relay", "code": "401", "sample": f"no access to {gone}"}})
    consumer = await outbox.open("d")
    named = dumps({"request": {"body": body.decode()}})
    settled = [
        scanned(1, retry(), keys=(gone,)),
        scanned(2, replace(dead(), detail=named), keys=("u2",)),
        scanned(3, retry(detail=b"{}"), keys=("u3",)),
    ]
    await consumer.settle(settled)
    samples = [Sample("d", "500", "retry", 1, 1.0), Sample("d", "500", "retry", 2, 2.0, detail=named), Sample("d", "500", "retry", 3, 3.0)]
    await outbox.measured({}, samples)
    found = await outbox.traces(users)
    assert found.counts == {"waiting": 1, "dead_letters": 0, "samples": 2 + 1 + 1, "refused": 3}
    await outbox.erase_traces(users)
    assert (await outbox.traces(users)).counts == {"waiting": 0, "dead_letters": 0, "samples": 0, "refused": 0}
    assert [row.detail for _, row in await outbox.history.rows(2)] == [b""], "the other's dead letter stays, without what it told"
    assert [row.detail for _, row in await outbox.history.rows(3)] == [b"{}"]
    assert [one.seq for one in await outbox.history.samples("d", "500")] == [3]
    assert [one.user_id for one in await outbox.history.refused() if one.message_id] == ["u2"]
    cursor = await outbox.cursor("d")
    assert cursor is not None
    assert cursor.state["hold"] == {"by": "relay", "code": "401", "sample": ""}
    assert consumer.changes[-1].state == cursor.state, "the actor must not write the old one again"
    newest = max(one.refused_id for one in await outbox.history.refused())
    await outbox.append([], [RefusedMessage("s1", "event_not_defined", 1, "m11")])
    assert [one.refused_id for one in await outbox.history.refused(message_id="m11")] == [newest + 1], "no id is given twice"


async def test_history_goes_when_its_time_is_over_but_never_what_somebody_needs(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 4)
    await outbox.create(ROUTER, at=0)
    await outbox.create("d", at=0)
    router, consumer = await outbox.open(ROUTER), await outbox.open("d")
    engine.clock.at_s += 71 * HOUR_S
    await outbox.append([event("m5", at_s=engine.clock.now())])
    await router.settle([skipped(1, 5)])
    await consumer.settle([scanned(1, delivered()), scanned(2, dead()), scanned(3, delivered()), scanned(4, delivered()), scanned(5, delivered())])
    assert await outbox.trim() == 0  # too young
    engine.clock.at_s += 2 * HOUR_S
    assert await outbox.trim() == 3
    assert await stored(outbox) == [2, 5]  # 2 is named by a dead letter, 5 is young
    engine.clock.at_s += 400 * HOUR_S
    assert await outbox.trim() == 2  # the dead letter's own time is over
    assert (await stored(outbox), outbox.head) == ([], 5)


@pytest.mark.parametrize("behind", [ROUTER, "d", "d#1"])
async def test_nothing_above_the_lowest_cursor_is_trimmed(engine: Engine, behind: str) -> None:
    await filled(engine.outbox, 4)
    for name in (ROUTER, "d", "d#1"):
        await engine.outbox.create(name, at=0, end=3 if "#" in name else None)
        consumer = await engine.outbox.open(name)
        await consumer.settle([skipped(1, 1 if name == behind else 3 if "#" in name else 4)])
    engine.clock.at_s += 100 * HOUR_S
    assert await engine.outbox.trim() == 1
    assert await stored(engine.outbox) == [2, 3, 4]
    await engine.outbox.remove(behind)
    assert await engine.outbox.trim() == 3


async def test_a_replay_that_is_done_pins_nothing(engine: Engine) -> None:
    await filled(engine.outbox, 4)
    await engine.outbox.create("d#1", at=0, end=2)
    await (await engine.outbox.open("d#1")).settle([skipped(1, 2)])
    engine.clock.at_s += 100 * HOUR_S
    assert await engine.outbox.trim() == 4


async def test_counts_and_journal_go_when_their_time_is_over(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 1)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await consumer.settle([scanned(1, delivered())], attempts=[Attempt(1, "a", 1, "delivered", "delivered", 200, 1.5, START_S, 1)])
    engine.clock.at_s += 100 * HOUR_S
    await outbox.trim()
    assert await outbox.history.timeline(1) == []
    assert len(await outbox.history.tallies(0, MINUTE + 1)) == 1
    engine.clock.at_s += 700 * HOUR_S
    await outbox.trim()
    assert await outbox.history.tallies(0, MINUTE + 1) == {}


async def test_when_room_is_short_history_goes_before_its_time(engine: Engine) -> None:
    await filled(engine.outbox, 3)
    await engine.outbox.create("d", at=2)
    engine.clock.at_s += 1
    assert await engine.outbox.trim() == 0
    assert await engine.bare.trim_now() == 2
    assert await stored(engine.outbox) == [3]


# history


async def test_a_batch_is_settled_as_one_run_and_each_of_its_events_has_its_line(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 5)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    line = Attempt(2, "a", 1, "delivered", "delivered", 200, 12.5, START_S, 7)
    await consumer.settle([Settlement(2, "web", (delivered(),), last=4)], attempts=[line._replace(last=4)])
    cursor = await outbox.cursor("d")
    assert (cursor.pos, cursor.ahead, cursor.doors) == (0, 0b1110, {"delivered": 3})
    assert (await outbox.balance("d")).holds
    assert [await outbox.history.timeline(seq) for seq in (1, 2, 4, 5)] == [[], [("d", line)], [("d", line._replace(seq=4))], []]


async def test_the_timeline_of_an_event_shows_each_attempt_in_order(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 3)
    lines = {}
    for i, name in enumerate(("d", "e")):
        await outbox.create(name, at=0)
        consumer = await outbox.open(name)
        lines[name] = [
            Attempt(seq, "a", n, "hold", "ETIMEDOUT", None if n == 1 else 503, 12.5, START_S + 10 * n + i, 7) for n in (1, 2) for seq in (1, 3)
        ]
        await consumer.settle([], attempts=lines[name][:2])
        await consumer.settle([], attempts=lines[name][2:])
    assert await outbox.history.timeline(3) == [(name, lines[name][n]) for n in (1, 3) for name in ("d", "e")]
    assert await outbox.history.timeline(2) == []
    assert await (await engine.reopen()).history.timeline(1) == [(name, lines[name][n]) for n in (0, 2) for name in ("d", "e")]


async def test_an_event_is_found_by_its_message_id_at_once(engine: Engine) -> None:
    await engine.outbox.append([event("a"), event("b"), event("a", source="s2")])
    assert [claim.seq for claim in await engine.outbox.history.find("a")] == [1, 3]
    assert [(claim.seq, claim.event.message_id) for claim in await engine.outbox.history.find("a", "s2")] == [(3, "a")]
    assert await engine.outbox.history.find("c") == []


async def test_the_rows_of_an_event_are_shown_for_every_consumer(engine: Engine) -> None:
    await filled(engine.outbox, 1)
    for name in ("d", "e"):
        await engine.outbox.create(name, at=0)
        await (await engine.outbox.open(name)).settle([scanned(1, retry(), dead("b"))])
    rows = await engine.outbox.history.rows(1)
    assert [(name, row.subscription_id, row.state) for name, row in rows] == [
        (name, sub, state) for name in "de" for sub, state in (("a", RETRY), ("b", DEAD))
    ]


async def test_stored_events_are_scanned_by_seq_and_by_time(engine: Engine) -> None:
    for seq in range(1, 6):
        await engine.outbox.append([event(f"m{seq}", at_s=START_S + seq)])

    async def seqs(**bounds: float) -> list[int]:
        return [claim.seq async for page in engine.outbox.history.scan(**bounds) for claim in page]

    assert await seqs() == [1, 2, 3, 4, 5]
    assert await seqs(after=2, until=4) == [3, 4]
    assert await seqs(since_s=START_S + 3) == [3, 4, 5]
    assert await seqs(until_s=START_S + 3) == [1, 2]
    assert await seqs(since_s=START_S + 2, until_s=START_S + 4, after=2) == [3]
    assert await seqs(since_s=START_S + 99) == []


async def test_depth_tells_the_age_of_the_oldest_that_waits(engine: Engine) -> None:
    outbox = engine.outbox
    for seq in range(1, 4):
        await outbox.append([event(f"m{seq}", at_s=START_S + seq)])
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    assert (await outbox.depth("d")).oldest_s == START_S + 1
    await consumer.settle([scanned(1, delivered()), scanned(2, retry())])
    assert (await outbox.depth("d")).oldest_s == START_S + 2
    await consumer.settle([ended(2, "a", delivered())])
    assert (await outbox.depth("d")).oldest_s == START_S + 3
    await consumer.settle([scanned(3, delivered())])
    depth = await outbox.depth("d")
    assert (depth.pending, depth.oldest_s) == (0, 0.0)


async def test_the_end_of_the_log_is_read_backwards_with_its_rows_and_attempts(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 6)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    lines = [Attempt(seq, "a", 1, result, "x", 200, 1.0, START_S + seq, 1) for seq, result in ((4, "delivered"), (5, RETRY), (6, DEAD))]
    for seq, outcome, line in ((4, delivered(), lines[0]), (5, retry(), lines[1]), (6, dead(), lines[2])):
        await consumer.settle([scanned(seq, outcome)], attempts=[line])
    past = await outbox.history.past(7, 3)
    assert [claim.seq for claim in past.claims] == [4, 5, 6]
    assert sorted((name, row.seq, row.state) for name, row in past.rows) == [("d", 5, RETRY), ("d", 6, DEAD)]
    assert [(cursor.name, cursor.is_done(6), cursor.is_done(3)) for cursor in past.cursors] == [("d", True, False)]
    assert [claim.seq for claim in (await outbox.history.past(4, 10)).claims] == [1, 2, 3]
    newest = await outbox.history.attempts_before(0, 2)
    assert [(name, attempts) for _, name, attempts in newest] == [("d", [lines[2]]), ("d", [lines[1]])]
    rest = await outbox.history.attempts_before(newest[-1][0], 10)
    assert [attempts for _, _, attempts in rest] == [[lines[0]]]


# statistics


async def counted(engine: Engine, tally: Tally) -> None:
    """Counts as a router's step brings them."""
    await engine.outbox.create(ROUTER, at=0)
    await (await engine.outbox.open(ROUTER)).settle([], tally=tally)


async def test_delivery_times_add_up_and_are_told_in_spans(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.measured({LatencyKey(60, "d", 3): 2, LatencyKey(61, "d", 3): 1, LatencyKey(61, "e", 30): 1}, [])
    await outbox.measured({LatencyKey(61, "d", 3): 4}, [])
    outbox = await engine.reopen()
    assert await outbox.history.latency_spans(60, 62, 1) == {LatencyKey(60, "d", 3): 2, LatencyKey(61, "d", 3): 5, LatencyKey(61, "e", 30): 1}
    assert await outbox.history.latency_spans(61, 62, 1) == {LatencyKey(61, "d", 3): 5, LatencyKey(61, "e", 30): 1}
    assert await outbox.history.latency_spans(0, 999, 60) == {LatencyKey(60, "d", 3): 7, LatencyKey(60, "e", 30): 1}


async def test_old_counts_are_folded_into_hours_and_days_and_sums_stay(engine: Engine) -> None:
    outbox = engine.outbox
    now = MINUTE // DAY * DAY + 500
    engine.clock.at_s = now * 60.0
    minutes = [now - age for age in (0, HOUR, 47 * HOUR, 49 * HOUR, 49 * HOUR + 1, 13 * DAY, 15 * DAY, 15 * DAY + 3, 29 * DAY)]
    tally = {
        TallyKey(minute, "s1", "d", "retry", code, first): number + 1
        for number, minute in enumerate(minutes)
        for code, first in (("500", True), ("x", False))
    }
    await counted(engine, tally)
    await outbox.measured({LatencyKey(minute, "d", number): 2 for number, minute in enumerate(minutes)}, [])
    while await outbox.roll_up():
        pass
    assert await outbox.roll_up() == 0
    kept = await outbox.history.tallies(0, now + 1)
    assert sum(kept.values()) == sum(tally.values())
    assert {key.minute for key in kept} == {
        *minutes[:3],
        minutes[3] // HOUR * HOUR,
        minutes[5] // HOUR * HOUR,
        minutes[6] // DAY * DAY,
        minutes[8] // DAY * DAY,
    }
    assert kept[TallyKey(minutes[6] // DAY * DAY, "s1", "d", "retry", "x", False)] == 7 + 8
    assert sum((await outbox.history.latency_spans(0, now + 1, 1)).values()) == 2 * len(minutes)
    by_day = await outbox.history.tally_spans(0, now + 1, DAY)
    assert sum(by_day.values()) == sum(tally.values())
    assert {(key.minute % DAY, key.source_id, key.destination_id, key.first) for key in by_day} == {(0, "", "d", False)}


async def test_counts_of_a_day_stay_until_the_whole_day_is_over_its_time(engine: Engine) -> None:
    outbox = engine.outbox
    day = MINUTE // DAY * DAY
    await counted(engine, {TallyKey(day, "s1", "", "source", "track", True): 5})
    await outbox.measured({LatencyKey(day, "d", 1): 5}, [])
    engine.clock.at_s = (day + 31 * DAY - 1) * 60.0
    await outbox.trim()
    assert (len(await outbox.history.tallies(0, day + 1)), len(await outbox.history.latency_spans(0, day + 1, 1))) == (1, 1)
    engine.clock.at_s += 60
    await outbox.trim()
    assert (len(await outbox.history.tallies(0, day + 1)), len(await outbox.history.latency_spans(0, day + 1, 1))) == (0, 0)


def sample(seq: int, code: str = "500", *, destination: str = "d", at_s: float = START_S, status: int | None = 500) -> Sample:
    return Sample(destination, code, RETRY, seq, at_s, 1, status, 12.5, b'{"request":null}')


async def test_the_last_ten_samples_of_each_code_are_kept_with_their_message_id(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 14)
    await outbox.measured({}, [sample(seq, at_s=START_S + seq, status=500 + seq % 2) for seq in range(1, 9)])
    await outbox.measured(
        {}, [sample(seq, at_s=START_S + seq, status=500 + seq % 2) for seq in range(9, 14)] + [sample(1, "400"), sample(2, destination="e")]
    )
    outbox = await engine.reopen()
    kept = await outbox.history.samples("d", "500")
    assert [(one.seq, one.message_id) for one in kept] == [(seq, f"m{seq}") for seq in range(13, 3, -1)]
    assert (kept[0].at_s, kept[0].attempt, kept[0].status, kept[0].duration_ms, kept[0].detail) == (START_S + 13, 1, 501, 12.5, b'{"request":null}')
    assert await outbox.history.sample_groups("d") == [("400", 1, RETRY, 500, START_S), ("500", 10, RETRY, 501, START_S + 13)]
    assert await outbox.history.samples("d", "404") == []


async def test_samples_go_with_their_user_their_destination_and_their_time(engine: Engine) -> None:
    outbox = engine.outbox
    await outbox.append([event("a", user="u1"), event("b", user="u2"), event("c", user="u3")])
    await outbox.create("d", at=0)
    await outbox.measured({}, [sample(1), sample(2), sample(3, destination="e"), sample(99)])
    await outbox.erase(["u1"])
    assert [one.seq for one in await outbox.history.samples("d", "500")] == [99, 2]
    await outbox.measured({}, [sample(1)])
    assert 1 not in [one.seq for one in await outbox.history.samples("d", "500")]
    await outbox.remove("d")
    assert await outbox.history.samples("d", "500") == []
    assert len(await outbox.history.samples("e", "500")) == 1
    engine.clock.at_s += 31 * 24 * HOUR_S
    await outbox.trim()
    assert await outbox.history.samples("e", "500") == []


async def test_a_settle_is_told_after_its_commit_and_a_late_one_is_not(engine: Engine) -> None:
    outbox, heard = engine.outbox, []
    engine.bare.on_settled.append(lambda name, settlements, attempts: heard.append((name, [one.seq for one in settlements], list(attempts))))
    await filled(outbox, 2)
    await outbox.create("d", at=0)
    first = await outbox.open("d")
    held = HeldAttempt(1, "a", 1, "hold", "credentials", 401, 1.0, START_S, 1)
    held.detail = b"{}"
    await first.settle([scanned(1, retry())], attempts=[held])
    await outbox.open("d")
    await first.settle([scanned(2, delivered())])
    assert heard == [("d", [1], [held])]
    assert [line for _, line in await outbox.history.timeline(1)] == [Attempt(*held)]


async def test_the_codes_of_what_waits_for_a_retry_are_told(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 4)
    await outbox.create("d", at=0)
    consumer = await outbox.open("d")
    await consumer.settle([scanned(1, retry()), scanned(2, retry()), scanned(3, dead()), scanned(4, whole(PARKED, "parked"))])
    assert await outbox.history.waiting_codes("d") == {"ETIMEDOUT": 2}
    assert await outbox.history.waiting_codes("nobody") == {}


async def test_what_a_source_sent_is_told_by_type_name_and_library(engine: Engine) -> None:
    outbox = engine.outbox
    library = {"library": {"name": "analytics.js", "version": "2.1"}}
    await outbox.append([event("a", context=library), event("b", kind="page", name="Home"), event("c", source="s2"), event("d", user="gone")])
    await outbox.append([event(f"e{number}", at_s=START_S + 60, context=library) for number in range(1_500)])
    await outbox.erase(["gone"])
    start_ms = int(START_S * 1000)
    seen = await outbox.history.seen("s1", since_s=0, newest=20_000)
    assert sorted(seen) == [
        Seen("page", "Home", "", "", 1, start_ms, start_ms),
        Seen("track", "Clicked", "analytics.js", "2.1", 1_501, start_ms, start_ms + 60_000),
    ]
    assert [one.n for one in await outbox.history.seen("s1", since_s=START_S + 1, newest=20_000)] == [1_500]
    assert [one.n for one in await outbox.history.seen("s1", since_s=0, newest=10)] == [10]


async def test_what_is_pending_may_be_given_up_by_another_door(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 3)
    await outbox.create("d#1", at=0, end=3)
    consumer = await outbox.open("d#1")
    await consumer.settle([scanned(1, delivered()), scanned(2, retry())])
    assert await outbox.expire("d#1", 3, S1, door=Door.DISCARDED, code="by_hand") == 2
    assert (await outbox.balance("d#1")).doors == {"delivered": 1, "discarded": 2}
    assert (await outbox.balance("d#1")).pending == 0


async def test_of_what_was_not_scanned_only_what_is_meant_is_given_up(engine: Engine) -> None:
    outbox = engine.outbox
    await filled(outbox, 6)
    await outbox.create("d#1", at=0, end=6)
    consumer = await outbox.open("d#1")
    await consumer.settle([scanned(1, retry()), scanned(3, delivered())])
    assert await outbox.expire("d#1", 4, S1, door=Door.DISCARDED, code="by_hand", only=frozenset((3, 4, 5))) == 2  # row 1, event 4
    balance = await outbox.balance("d#1")
    assert (balance.holds, balance.doors, balance.skipped, balance.unscanned) == (True, {"delivered": 1, "discarded": 2}, 1, 2)


async def test_counts_in_spans_keep_sources_apart_only_on_the_source_side(engine: Engine) -> None:
    keys = [
        TallyKey(minute, source, to, stage, "x", first)
        for minute in (61, 62)
        for source in ("s1", "s2")
        for to, stage in (("", "source"), ("d", "retry"))
        for first in (True, False)
    ]
    await counted(engine, dict.fromkeys(keys, 1))
    spans = await engine.outbox.history.tally_spans(60, 120, 60)
    assert spans == {
        TallyKey(60, "s1", "", "source", "x", False): 4,
        TallyKey(60, "s2", "", "source", "x", False): 4,
        TallyKey(60, "", "d", "retry", "x", False): 8,
    }
