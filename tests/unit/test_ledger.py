"""The pure books of a consumer: what each settlement does to cursor, rows and counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.codes import Door
from relay.observe.tallies import TallyKey
from relay.outbox.interface import DEAD, PARKED, RETRY, WHOLE, Cursor, Outcome, Row, Settlement
from relay.outbox.ledger import Books, destination_of, is_open, mark, whole
from relay.outbox.operations import patched

NOW = 1_700_000_000.0
MINUTE = int(NOW // 60)


@pytest.mark.parametrize(
    ("pos", "ahead", "first", "last", "fresh", "pos_after", "ahead_after"),
    [
        (0, 0, 1, 1, 1, 1, 0),
        (0, 0, 3, 3, 1, 0, 0b100),
        (0, 0b100, 1, 2, 2, 3, 0),
        (0, 0b10100, 1, 1, 1, 1, 0b1010),
        (0, 0b10100, 2, 4, 2, 0, 0b11110),
        (0, 0b11110, 1, 1, 1, 5, 0),
        (5, 0, 2, 5, 0, 5, 0),
        (5, 0, 4, 7, 2, 7, 0),
        (5, 0b10, 7, 7, 0, 5, 0b10),
        (5, 0b10, 1, 8, 2, 8, 0),
        (5, 0, 7, 6, 0, 5, 0),
    ],
)
def test_marking_moves_the_cursor_over_what_is_done(
    pos: int, ahead: int, first: int, last: int, fresh: int, pos_after: int, ahead_after: int
) -> None:
    cursor = Cursor("d", 0, pos, ahead)
    assert mark(cursor, first, last) == fresh
    assert (cursor.pos, cursor.ahead) == (pos_after, ahead_after)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=40))
def test_marking_is_a_set_of_seqs(ranges: list[tuple[int, int]]) -> None:
    cursor, done = Cursor("d", 0, 0), set()
    for first, span in ranges:
        more = set(range(first, first + span + 1))
        assert mark(cursor, first, first + span) == len(more - done)
        done |= more
        assert {seq for seq in range(1, 80) if cursor.is_done(seq)} == done
        assert not cursor.ahead & 1


def books(cursor: Cursor | None = None, *rows: Row) -> Books:
    return Books(cursor or Cursor("d", 0, 0), {(row.seq, row.subscription_id): row for row in rows}, now_s=NOW)


def test_each_outcome_is_counted_by_its_door_and_a_parked_one_is_not() -> None:
    made = books(Cursor("d#3", 0, 0))
    outcomes = (
        Outcome("a", "delivered", "delivered", 1),
        Outcome("b", RETRY, "ETIMEDOUT", 1),
        Outcome("c", DEAD, "400", 2),
        whole("filtered", "NO_MATCHING_MAPPING"),
    )
    made.settle([Settlement(1, "s1", outcomes, ("u",)), Settlement(2, "s1", (whole(PARKED, "parked"),), ("u",))])
    assert made.changes.tally == {
        TallyKey(MINUTE, "s1", "d", "delivered", "delivered", True): 1,
        TallyKey(MINUTE, "s1", "d", RETRY, "ETIMEDOUT", True): 1,
        TallyKey(MINUTE, "s1", "d", DEAD, "400", False): 1,
        TallyKey(MINUTE, "s1", "d", "filtered", "NO_MATCHING_MAPPING", True): 1,
    }
    assert {key: row.state for key, row in made.changes.put.items()} == {(1, "b"): RETRY, (1, "c"): DEAD, (2, WHOLE): PARKED}
    assert (made.cursor.extra, made.cursor.doors) == (3, {"delivered": 1, "dead": 1, "filtered": 1})


def test_a_run_of_seqs_that_ended_alike_is_counted_seq_by_seq_and_only_what_is_new() -> None:
    made = books(Cursor("d", 0, 1, 0b10))
    made.settle([Settlement(1, "s1", (Outcome("a", "delivered", "delivered", 1), Outcome("b", "delivered", "delivered", 1)), last=5)])
    assert made.cursor == Cursor("d", 0, 5, extra=3, late=2, doors={"delivered": 6})
    assert made.changes.tally == {TallyKey(MINUTE, "s1", "d", "delivered", "delivered", True): 6}
    made.settle([Settlement(6, "s1", (whole("filtered", "x"),), last=7)])
    assert (made.cursor.pos, made.cursor.extra, made.cursor.doors) == (7, 3, {"delivered": 6, "filtered": 2})


def test_a_row_that_is_put_and_taken_in_one_settle_leaves_nothing() -> None:
    made = books()
    made.settle([Settlement(1, "s1", (Outcome("a", RETRY, "x", 1),)), Settlement(1, "s1", (Outcome("a", "delivered", "delivered", 2),), row="a")])
    assert (made.changes.put, made.changes.drop) == ({}, {(1, "a")})
    made.settle([Settlement(2, "s1", (whole(PARKED, "parked"),)), Settlement(2, "s1", (whole(PARKED, "parked"),), row=WHOLE)])
    assert (list(made.changes.put), made.changes.drop) == ([(2, WHOLE)], {(1, "a")})


@pytest.mark.parametrize(
    "late",
    [
        Settlement(1, "s1", (whole("filtered", "x"),)),
        Settlement(3, "s1", (whole("filtered", "x"),)),
        Settlement(1, "s1", (whole("filtered", "x"),), row=WHOLE),
        Settlement(2, "s1", (Outcome("a", "delivered", "delivered", 1),), row="a"),
    ],
    ids=["below", "ahead", "no row", "dead row"],
)
def test_what_is_settled_already_is_late_and_changes_nothing_else(late: Settlement) -> None:
    made = books(Cursor("d", 0, 1, 0b10), Row(2, "a", DEAD, "s1"))
    made.settle([late])
    assert made.cursor == Cursor("d", 0, 1, 0b10, late=1)
    assert (made.changes.put, made.changes.drop, made.changes.tally) == ({}, set(), {})


def test_a_row_sent_again_stays_so_until_it_ends() -> None:
    dead = Row(1, "a", DEAD, "s1", ("u",), 5, NOW - 9, 0.0, False, "400", 400, NOW - 5, b"{}")
    made = books(Cursor("d", 0, 1, doors={"dead": 1}), dead)
    again = made.reopen(dead)
    assert again == Row(1, "a", RETRY, "s1", ("u",), 0, 0.0, NOW, True, "400", 400, NOW, b"{}")
    assert made.cursor.extra == 1
    made.settle([Settlement(1, "s1", (Outcome("a", RETRY, "x", 1),), row="a")])
    assert made.rows[(1, "a")].resend
    made.settle([Settlement(1, "s1", (Outcome("a", DEAD, "x", 2),), row="a")])
    assert not made.rows[(1, "a")].resend
    assert made.cursor.doors == {"dead": 2}


def test_giving_up_takes_what_is_pending_and_skips_gaps_and_strangers() -> None:
    rows = (Row(1, "a", RETRY, "s1"), Row(2, "a", DEAD, "s1"), Row(9, "a", RETRY, "s1"))
    made = books(Cursor("d", 0, 2, 0b10), *rows)  # 1, 2 and 4 are settled
    assert made.give_up(6, [(3, "s1"), (4, "s1"), (5, "s2")], frozenset({"s1"}), Door.EXPIRED, "expired") == 2
    cursor = made.cursor
    assert (cursor.pos, cursor.skipped, cursor.doors) == (6, 2, {"expired": 2})
    assert all(type(door) is str for door in cursor.doors)  # a store takes no enum
    assert made.changes.drop == {(1, "a")}


@pytest.mark.parametrize(
    ("state", "patch", "expected"),
    [
        ({}, {"breaker": {"state": "open"}}, {"breaker": {"state": "open"}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"hold": {"by": "relay"}}, {"hold": None}, {}),
        ({"hold": {"by": "user"}}, {"hold": None, "breaker": {"n": 1}}, {"hold": {"by": "user"}, "breaker": {"n": 1}}),
        ({"hold": {"by": "user"}}, {"hold": {"by": "relay"}}, {"hold": {"by": "user"}}),
        ({"hold": None}, {"hold": {"by": "relay"}}, {"hold": {"by": "relay"}}),
    ],
)
def test_a_patch_never_touches_what_a_person_holds(state: dict, patch: dict, expected: dict) -> None:
    assert patched(state, patch) == expected


def test_names_and_states() -> None:
    assert [destination_of(name) for name in ("crm", "crm#12")] == ["crm", "crm"]
    assert [is_open(Row(1, "a", state, "s")) for state in (RETRY, PARKED, DEAD)] == [True, True, False]
