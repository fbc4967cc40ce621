"""Lanes: per user in the order of the log, whatever else goes on."""

from relay.delivery.lanes import ENDED, FLYING, WAITING, Item, Lanes
from relay.outbox.interface import RETRY, Row


def item(seq: int, *keys: str, row: bool = False, foreign: bool = False) -> Item:
    made = Row(seq, "a", RETRY, "s1", keys, due_s=9.0) if row else None
    return Item(seq, "s1", keys, "d", foreign, made)


def lanes_of(*items: Item) -> Lanes:
    lanes = Lanes()
    for one in items:
        lanes.add(one)
    return lanes


def startable(lanes: Lanes, *items: Item) -> list[int]:
    return [one.seq for one in items if lanes.may_start(one)]


def test_one_user_goes_in_the_order_of_the_log_and_others_go_beside() -> None:
    a1, b2, a3, none4, none5 = items = item(1, "a"), item(2, "b"), item(3, "a"), item(4), item(5)
    lanes = lanes_of(*items)
    assert startable(lanes, *items) == [1, 2, 4, 5]
    lanes.take_off(a1)
    assert not lanes.may_start(a3)
    assert lanes.land(a1, ENDED) == []
    assert lanes.leave(a1) == [a3]
    assert startable(lanes, a3, b2) == [3, 2]
    assert lanes.leave(none4) == lanes.leave(none5) == []
    assert [lanes.leave(one) for one in (a3, b2)] == [[], []]
    assert len(lanes) == 0


def test_an_event_with_two_keys_waits_for_both_and_holds_both() -> None:
    anon1, user2, both3, anon4, user5 = items = item(1, "anon"), item(2, "user"), item(3, "user", "anon"), item(4, "anon"), item(5, "user")
    lanes = lanes_of(*items)
    assert startable(lanes, *items) == [1, 2]
    assert lanes.leave(anon1) == [both3]
    assert startable(lanes, both3, anon4) == []
    assert lanes.leave(user2) == [both3]
    assert startable(lanes, both3, anon4, user5) == [3]
    assert lanes.leave(both3) == [user5, anon4]


def test_rows_that_come_back_stand_at_their_place() -> None:
    late = item(5, "a")
    lanes = lanes_of(late)
    early, same = item(2, "a", row=True), item(5, "a", row=True)
    lanes.add(early)
    lanes.add(same)
    assert startable(lanes, late, early, same) == [2]
    assert lanes.rows == 2
    assert lanes.leave(early) == [late, same]  # units of one event go together
    assert lanes.rows == 1
    assert startable(lanes, late, same) == [5, 5]


def test_an_event_is_parked_only_behind_an_earlier_row_that_shares_a_key() -> None:
    lanes = lanes_of(item(3, "a", row=True), item(1, "b"), item(4, "c", "d", row=True))
    table = [(4, ("a",), True), (2, ("a",), False), (3, ("a",), False), (4, ("b",), False), (5, ("x", "d"), True), (5, (), False), (5, ("x",), False)]
    for seq, keys, parked in table:
        assert lanes.is_behind_row(seq, keys) is parked, (seq, keys)


def test_what_waits_behind_an_item_is_told_once_and_in_order() -> None:
    head, flying, row, twice, other = item(2, "a", "b"), item(3, "a"), item(4, "a", row=True), item(6, "b", "a"), item(5, "b")
    before = item(1, "a")
    lanes = lanes_of(before, head, flying, row, twice, other)
    lanes.take_off(flying)
    assert lanes.behind(head) == [other, twice]
    assert lanes.behind(twice) == []


def test_a_foreign_item_holds_no_lane_but_never_overlaps_with_one() -> None:
    live, again = item(5, "a"), item(1, "a", row=True, foreign=True)
    lanes = lanes_of(live, again)
    assert (len(lanes), lanes.rows, lanes.is_behind_row(5, ("a",))) == (1, 0, False)
    assert startable(lanes, live, again) == [5, 1]
    lanes.take_off(live)
    assert not lanes.may_start(again)
    assert lanes.land(live, ENDED) == []
    lanes.leave(live)
    lanes.take_off(again)
    assert (again.state, lanes.foreign_flying) == (FLYING, 1)
    following, second = item(6, "a"), item(2, "a", foreign=True)
    lanes.add(following)
    assert startable(lanes, following, second) == []
    assert lanes.land(again, WAITING) == [following]
    assert (again.state, lanes.foreign_flying) == (WAITING, 0)
    assert lanes.leave(again) == []
    assert startable(lanes, following, second) == [6, 2]


def test_leaving_twice_or_from_the_middle_disturbs_nobody() -> None:
    first, middle, last = item(1, "a"), item(2, "a"), item(3, "a")
    lanes = lanes_of(first, middle, last)
    lanes.leave(middle)
    lanes.leave(middle)
    assert startable(lanes, first, last) == [1]
    assert lanes.leave(first) == [last]


def test_an_item_is_due_when_its_row_is() -> None:
    assert (item(1, "a").due_s, item(1, "a", row=True).due_s) == (0.0, 9.0)
