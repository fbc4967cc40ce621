"""Counts in spans: what is over is read once, in slices; what may still change is read again; and it is always what one read of all would give."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.control.spans import LATE, SLICES, Spans, slices
from relay.observe.rollup import DAY, HOUR
from relay.observe.tallies import TallyKey
from relay.outbox.memory import Disk
from relay.outbox.operations import plan_roll_up

NOW = 20_000 * DAY + 700


class Source:
    """A store that says what was read of it."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.reads: list[tuple[int, int, int]] = []

    async def read(self, since: int, until: int, step: int) -> dict[TallyKey, int]:
        self.reads.append((since, until, step))
        return self.disk.tally_spans(since, until, step)

    def add(self, minute: int, count: int = 1) -> None:
        self.disk.count({TallyKey(minute, "web", "", "source", "track", True): count})


def sums(found: dict[TallyKey, int]) -> dict[int, int]:
    return {key.minute: count for key, count in sorted(found.items())}


async def test_what_is_over_is_read_once_and_what_is_open_again() -> None:
    source, since = Source(), (NOW // 15 - 95) * 15
    spans = Spans(15, 96 * 15, source.read)
    source.add(NOW - 100)
    source.add(NOW)
    assert sums(await spans.load(since, NOW)) == {(NOW - 100) // 15 * 15: 1, NOW // 15 * 15: 1}
    first = len(source.reads)
    source.add(NOW - 100)  # too late to be seen
    source.add(NOW)
    assert sums(await spans.load(since, NOW)) == {(NOW - 100) // 15 * 15: 1, NOW // 15 * 15: 2}
    assert source.reads[first:] == [((NOW - LATE) // 15 * 15, NOW + 1, 15)]


async def test_days_lean_on_the_hours_that_are_read_already() -> None:
    source = Source()
    hours = Spans(HOUR, 168 * HOUR, source.read)
    days = Spans(DAY, 30 * DAY, source.read, hours)
    for age in (0, 50, 2_000, 4_000, 20 * DAY):
        source.add(NOW - age)
    await hours.load((NOW // HOUR - 167) * HOUR, NOW)
    source.reads.clear()
    found = await days.load((NOW // DAY - 29) * DAY, NOW)
    assert sum(found.values()) == 5
    assert all(until <= NOW - 2 * DAY for _, until, step in source.reads if step == DAY)


def test_slices_are_bounded_and_jump_over_gaps() -> None:
    starts = list(range(NOW // HOUR * HOUR - 168 * HOUR, NOW // HOUR * HOUR, HOUR))
    starts.remove(starts[5])
    found = slices(starts, HOUR, NOW)
    assert sum((until - first) // HOUR for first, until in found) == len(starts)
    assert all(until - first <= SLICES[1][1] for first, until in found)
    assert all(until - first <= SLICES[0][1] for first, until in found if NOW - first <= SLICES[0][0] - 6 * HOUR)
    assert slices([], 60, NOW) == []


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 31 * DAY), st.integers(1, 9)), max_size=30), st.lists(st.integers(0, 3 * HOUR), max_size=4))
def test_a_period_is_what_one_read_of_everything_would_give_also_after_roll_ups(events: list[tuple[int, int]], waits: list[int]) -> None:
    async def run() -> None:
        source, now = Source(), NOW
        hours = Spans(HOUR, 168 * HOUR, source.read)
        days = Spans(DAY, 30 * DAY, source.read, hours)
        for age, count in events:
            source.add(NOW - age, count)
        for wait in [0, *waits]:
            now += wait
            source.add(now)
            while fold := plan_roll_up(source.disk, now):
                source.disk.fold(fold)
            for spans, step, points in ((hours, HOUR, 168), (days, DAY, 30)):
                since = (now // step - points + 1) * step
                assert sums(await spans.load(since, now)) == sums(source.disk.tally_spans(since, now + 1, step))

    asyncio.run(run())
