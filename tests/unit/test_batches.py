"""Units that may share a request are grouped, bounded in number, bytes and time."""

import pytest

from relay.base.event import Event
from relay.delivery.batches import Batches
from relay.kit.definition import Action
from relay.pipeline.decision import Unit

ACTION = Action("post", "Post", batch_size=3, batch_bytes=100, linger_ms=20)


def unit(seq: int, *, bytes_: int = 10, sub: str = "a", key: str = "k", size: int = 3) -> Unit:
    event = Event(f"m{seq}", "s1", "track", "", "u1", "", 0, {}, b"x" * bytes_)
    return Unit(seq, event, sub, ACTION, {}, key, size)


def seqs(batch) -> list[int] | None:
    return None if batch is None else [member for member, _ in batch.members]


def filled(*units: Unit, now_s: float = 0.0) -> Batches[int]:
    batches: Batches[int] = Batches()
    for one in units:
        batches.add(one.seq, one, now_s)
    return batches


def test_a_full_batch_goes_at_once_and_the_rest_after_its_linger() -> None:
    batches = filled(*(unit(i) for i in range(1, 6)))
    assert (batches.waiting, batches.next_s()) == (5, float("-inf"))
    assert seqs(batches.take(0.0)) == [1, 2, 3]
    assert (batches.waiting, batches.next_s()) == (2, 0.02)
    assert seqs(batches.take(0.019)) is None
    assert seqs(batches.take(0.02)) == [4, 5]
    assert (batches.waiting, batches.next_s(), batches.take(9.0)) == (0, float("inf"), None)


def test_the_linger_counts_from_the_first_unit() -> None:
    batches = filled(unit(1))
    batches.add(2, unit(2), 0.015)
    assert seqs(batches.take(0.02)) == [1, 2]


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([60, 60], [[1], [2]]),
        ([60, 40, 5], [[1, 2], [3]]),
        ([250], [[1]]),
        ([10, 250, 10], [[1], [2], [3]]),
        ([99, 1, 1], [[1, 2], [3]]),
    ],
)
def test_bytes_are_bounded_but_an_event_larger_than_the_bound_goes_alone(sizes: list[int], groups: list[list[int]]) -> None:
    batches = filled(*(unit(i, bytes_=size) for i, size in enumerate(sizes, 1)))
    assert [seqs(batches.take(1.0)) for _ in groups] == groups
    assert batches.waiting == 0


def test_other_subscriptions_and_keys_never_share_a_batch() -> None:
    batches = filled(unit(1), unit(2, sub="b"), unit(3, key="other"), unit(4))
    taken = [seqs(batches.take(1.0)) for _ in range(3)]
    assert taken == [[1, 4], [2], [3]]


def test_a_setting_may_lower_the_size() -> None:
    batches = filled(unit(1, size=1), unit(2, size=1))
    assert [seqs(batches.take(0.0)), seqs(batches.take(0.0))] == [[1], [2]]


def test_draining_gives_everything_back() -> None:
    batches = filled(*(unit(i) for i in range(1, 6)), unit(6, sub="b"))
    assert sorted(member for member, _ in batches.drain()) == [1, 2, 3, 4, 5, 6]
    assert (batches.waiting, batches.full, batches.next_s()) == (0, [], float("inf"))
