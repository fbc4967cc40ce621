"""The tail hands out every result after a seq, also over the holes of a recovered log."""

from relay.base.event import Event
from relay.pipeline.decision import Sourced
from relay.router.tail import MAX_EVENTS, Tail


def result(seq: int) -> Sourced:
    return Sourced(seq, Event(f"m{seq}", "web", "track", "E", "u", "", 0, {}, b"{}"), bytes=2)


def seqs(tail: Tail, after: int, limit: int = 100) -> list[int] | None:
    found = tail.after(after, limit)
    return None if found is None else [one.seq for one in found]


def test_results_after_a_hole_are_found() -> None:
    tail = Tail()
    tail.start(3)
    tail.add([result(4), result(5), result(300), result(301)])
    assert tail.upto == 301
    assert seqs(tail, 3) == [4, 5, 300, 301]
    assert seqs(tail, 5) == [300, 301]
    assert seqs(tail, 200) == [300, 301]
    tail.add([result(302)])
    assert seqs(tail, 301) == [302]
    assert seqs(tail, 300, 1) == [301]


def test_what_was_dropped_is_read_from_the_log() -> None:
    tail = Tail()
    tail.start(0)
    tail.add([result(seq) for seq in range(1, MAX_EVENTS + 2)])
    assert seqs(tail, 0) is None
    assert seqs(tail, MAX_EVENTS) == [MAX_EVENTS + 1]
