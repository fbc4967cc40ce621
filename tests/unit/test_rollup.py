"""When counts are folded: whole spans only, each once, and never one that a series may still ask for."""

from hypothesis import given
from hypothesis import strategies as st

from relay.observe.rollup import DAY, HOUR, HOURS_KEPT, MINUTES_KEPT, due, finest, fold_at, gone_before
from relay.observe.tallies import Tally, TallyKey
from relay.outbox.memory import Disk
from relay.outbox.operations import plan_roll_up

minutes = st.integers(10 * DAY, 20_000 * DAY)


@given(minutes)
def test_only_whole_spans_that_are_old_enough_are_due(now: int) -> None:
    days, hours = due(now)
    assert (days.step, hours.step) == (DAY, HOUR)
    assert days.before % DAY == 0
    assert hours.before % HOUR == 0
    assert HOURS_KEPT <= now - days.before < HOURS_KEPT + DAY
    assert MINUTES_KEPT <= now - hours.before < MINUTES_KEPT + HOUR


@given(minutes, st.sampled_from([HOUR, DAY]))
def test_a_fold_is_the_span_around_a_minute(minute: int, step: int) -> None:
    fold = fold_at(minute, step)
    assert fold.first <= minute < fold.until == fold.first + step
    assert fold.first % step == 0


@given(minutes, st.integers(0, 40 * DAY))
def test_a_row_is_never_coarser_than_told(now: int, age: int) -> None:
    step = finest(now - age, now)
    assert step == (DAY if now - age < due(now)[0].before else HOUR if now - age < due(now)[1].before else 1)


@given(minutes, st.integers(DAY, 60 * DAY))
def test_a_day_goes_only_when_all_of_it_is_old(now: int, keep: int) -> None:
    assert gone_before(now, keep) % DAY == 0
    assert now - gone_before(now, keep) >= keep


@given(
    st.dictionaries(st.tuples(st.integers(0, 40 * DAY), st.sampled_from("ab"), st.booleans()), st.integers(1, 1_000), max_size=60),
    st.integers(1_000 * DAY, 1_002 * DAY),
    st.lists(st.integers(1, 3 * DAY), max_size=4),
)
def test_sums_stay_exact_however_often_and_whenever_counts_are_folded(
    given_counts: dict[tuple[int, str, bool], int], now: int, later: list[int]
) -> None:
    disk = Disk()
    tally: Tally = {TallyKey(now - age, "s", "d", "retry", code, first): count for (age, code, first), count in given_counts.items()}
    disk.count(tally)
    for wait in (0, *later):
        now += wait
        while fold := plan_roll_up(disk, now):
            disk.fold(fold)
        for code in "ab":
            for first in (True, False):
                before = sum(count for key, count in tally.items() if (key.code, key.first) == (code, first))
                assert sum(count for key, count in disk.counts.items() if (key.code, key.first) == (code, first)) == before
        for day in {key.minute // DAY for key in tally}:
            assert _on(disk.counts, day) == _on(tally, day)
        assert all(key.minute % finest(key.minute, now) == 0 for key in disk.counts)


def _on(tally: Tally, day: int) -> int:
    return sum(count for key, count in tally.items() if key.minute // DAY == day)
