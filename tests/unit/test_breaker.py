"""The gate of a destination: when it shuts, whom it lets through, and how it opens up again."""

import json
from typing import Any

import pytest

from relay.delivery.breaker import CAUTIOUS, PROBE_MAX_S, REFUSALS, STREAK, SUSPECTS, Gate

NOW = 1_700_000_000.0
LIMIT = 8


def gate(state: dict[str, Any] | None = None, *, limit: int = LIMIT, draw: float = 0.5, now_s: float = NOW) -> Gate:
    """With draw 0.5 the jitter is exactly 1."""
    return Gate(limit, state or {}, now_s=now_s, draw=lambda: draw)


def opened(**options: Any) -> Gate:
    made = gate(**options)
    for i in range(STREAK):
        made.failure(NOW + i)
    assert made.breaker == "open"
    return made


def round_trip(made: Gate, *, now_s: float, limit: int = LIMIT) -> Gate:
    patch = made.patch()
    assert patch is not None
    stored = json.loads(json.dumps({key: value for key, value in patch.items() if value is not None}))
    return gate(stored, now_s=now_s, limit=limit)


# where it stands


def test_every_change_is_told_once() -> None:
    made = gate()
    made.slots(NOW, 0)
    assert (made.position, made.moved()) == ("closed", None)
    for i in range(STREAK):
        made.failure(NOW + i)
    assert (made.moved(), made.moved()) == ("open", None)
    assert made.slots(NOW + STREAK, 0) == 0
    assert made.moved() is None
    assert made.slots(NOW + 60, 0) == 1
    assert (made.moved(), made.moved()) == ("half_open", None)
    made.failure(NOW + 61)
    assert made.moved() == "open"
    made.slots(NOW + 600, 0)
    made.success("1/a", NOW + 601)
    assert made.moved() == "closed"


def test_a_hold_is_told_and_a_persons_is_not_probed() -> None:
    made = gate()
    made.refuse("1/a", "credentials", 401, "", NOW, min_attempts=5)
    assert made.moved() == "held"
    made.slots(NOW + 60, 0)
    assert made.moved() == "half_open"
    made.obey({"hold": {"by": "user"}})
    assert made.moved() == "held"
    assert made.slots(NOW + 6_000, 0) == 0
    made.obey({})
    assert made.moved() == "closed"


def test_what_was_stored_is_no_change_and_changed_settings_are_one() -> None:
    made = gate({"breaker": {"state": "open", "since_s": NOW, "probes": 3, "next_s": NOW + 60}})
    assert (made.position, made.moved()) == ("open", None)
    made.settings_changed()
    assert made.moved() == "closed"


# closed -> open


@pytest.mark.parametrize(
    ("failures", "every_s", "opens"),
    [(10, 0.56, True), (10, 0.5, False), (11, 0.5, True), (9, 60, False), (60, 0.01, True)],
    ids=["ten over 5 s", "ten in 4.5 s", "eleven over 5 s", "nine", "sixty at once: the share"],
)
def test_failures_in_a_row_open_when_they_last(failures: int, every_s: float, opens: bool) -> None:
    made = gate()
    told = [made.failure(NOW + i * every_s) for i in range(failures)]
    assert (made.breaker == "open") == any(told) == opens
    assert not any(told[:9])


def test_a_success_ends_the_row() -> None:
    made = gate()
    for i in range(9):
        assert not made.failure(NOW + i)
    made.success("1/a", NOW + 9)
    for i in range(6):  # 15 of 16 failed: too few attempts to judge by their share
        assert not made.failure(NOW + 10 + i)
    assert made.breaker == "closed"


@pytest.mark.parametrize(("failed", "ok", "opens"), [(14, 6, True), (13, 7, False), (15, 4, False), (28, 12, True)])
def test_seventy_of_a_hundred_of_at_least_twenty_open(failed: int, ok: int, opens: bool) -> None:
    """The last failure decides; successes come first, evenly spread so that no row of ten lasts five seconds."""
    made = gate()
    for i in range(ok):
        made.success(f"{i}/a", NOW + i * 0.01)
    told = [made.failure(NOW + 1 + i * 0.01) for i in range(failed)]
    assert told[-1] == opens
    assert not any(told[:-1]) or failed + ok > 20


def test_what_is_older_than_a_minute_is_not_counted() -> None:
    made = gate()
    for i in range(7):
        made.failure(NOW + i * 0.1)
    made.success("1/a", NOW + 1)
    for i in range(8):
        made.failure(NOW + 100 + i * 0.1)
    made.success("2/a", NOW + 101)
    for i in range(6):
        assert not made.failure(NOW + 200 + i * 0.1)
    assert made.breaker == "closed"


# cautious


def test_after_three_failures_one_goes_at_a_time_at_a_growing_distance() -> None:
    made = gate()
    for i in range(CAUTIOUS - 1):
        made.failure(NOW + i * 0.01)
        assert made.slots(NOW + i * 0.01, 0) == LIMIT
    for wait_s in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0):
        made.failure(NOW + 1)
        assert made.next_s() == pytest.approx(NOW + 1 + wait_s)
        assert made.slots(NOW + 1 + wait_s - 0.01, 0) == 0
        assert made.slots(NOW + 1 + wait_s + 0.01, 0) == 1
        assert made.slots(NOW + 1 + wait_s + 0.01, 1) == 0
    made.success("1/a", NOW + 2)
    assert made.slots(NOW + 2, 0) == LIMIT


# probes


def test_probes_come_at_doubled_distances_up_to_five_minutes() -> None:
    made, now_s, distances = opened(), NOW + STREAK - 1, []
    for _ in range(9):
        distances.append(made.next_s() - now_s)
        assert made.slots(made.next_s() - 0.1, 0) == 0
        now_s = made.next_s()
        assert (made.slots(now_s, 0), made.slots(now_s, 1)) == (1, 0)
        assert made.failure(now_s)
    assert distances == pytest.approx([5, 10, 20, 40, 80, 160, 300, 300, 300])
    assert made.breaker == "open"


@pytest.mark.parametrize(("draw", "wait_s"), [(0.0, 4.0), (0.5, 5.0), (0.999999, 6.0)])
def test_the_distance_of_probes_has_jitter(draw: float, wait_s: float) -> None:
    assert opened(draw=draw).next_s() - (NOW + STREAK - 1) == pytest.approx(wait_s, abs=0.001)


def test_attempts_that_were_in_flight_when_it_shut_are_no_probes() -> None:
    for made, end_s in ((opened(), NOW + STREAK), (gate(), NOW)):
        if not made.is_shut:
            made.refuse("0/a", "credentials", 401, "", NOW, min_attempts=5)
        before = made.next_s()
        for i in range(LIMIT - 1):
            assert made.failure(end_s)
            assert made.refuse(f"{i}/b", "credentials", 401, "", end_s, min_attempts=5)
        assert made.next_s() == before


def test_time_alone_does_not_close() -> None:
    made = opened()
    assert made.slots(NOW + 86_400, 0) == 1
    assert (made.is_shut, made.breaker) == (True, "open")
    assert made.shut_s(NOW + STREAK - 1 + 86_400) == 86_400


def test_a_probe_that_succeeds_closes_and_the_pace_doubles_with_each_success() -> None:
    made = opened()
    assert made.success("1/a", NOW + 100)
    assert (made.is_shut, made.breaker, made.shut_s(NOW + 100)) == (False, "closed", 0.0)
    slots = [made.slots(NOW + 100, 0)]
    for i in range(4):
        assert not made.success(f"{i}/a", NOW + 101)
        slots.append(made.slots(NOW + 101, 0))
    assert slots == [1, 2, 4, 8, 8]
    assert made.slots(NOW + 101, 3) == 5
    assert made.slots(NOW + 101, 99) == 0


def test_after_closing_the_old_failures_are_forgotten() -> None:
    made = opened()
    made.success("1/a", NOW + 20)
    for i in range(9):
        assert not made.failure(NOW + 21 + i)


def test_a_clock_that_is_set_back_does_not_keep_it_shut() -> None:
    made = opened()
    assert made.slots(NOW - 86_400, 0) == 1
    made = gate()
    for _ in range(CAUTIOUS):
        made.failure(NOW)
    assert made.slots(NOW - 86_400, 0) == 1


# holds


def test_a_hold_by_relay_is_probed_and_ended_by_a_success() -> None:
    made = gate()
    assert made.refuse("1/a", "credentials", 401, "no such key" * 100, NOW, min_attempts=5)
    assert made.hold == {"by": "relay", "code": "credentials", "since_s": NOW, "status": 401, "sample": ("no such key" * 100)[:500]}
    assert (made.slots(NOW, 0), made.next_s(), made.shut_s(NOW + 60)) == (0, NOW + 5, 60)
    assert made.refuse("2/a", "gone", 410, "", NOW + 5, min_attempts=5)
    assert made.hold["code"] == "credentials" and made.next_s() == NOW + 15
    assert made.success("3/a", NOW + 15)
    assert made.hold is None and made.slots(NOW + 15, 0) == 1
    assert made.patch() == {"breaker": None, "hold": None, "suspects": {"1/a": 1, "2/a": 1}}


@pytest.mark.parametrize("shut_before", [False, True])
def test_a_hold_by_a_person_ends_only_by_a_person(shut_before: bool) -> None:
    made = opened() if shut_before else gate()
    hold = {"by": "user", "since_s": NOW}
    made.obey({"hold": hold, "breaker": {"state": made.breaker}})
    assert (made.next_s(), made.slots(NOW + 1e9, 0)) == (float("inf"), 0)
    assert not made.success("1/a", NOW + 50)  # it was in flight
    made.settings_changed()
    assert made.hold == hold
    assert gate({"hold": hold}).slots(NOW + 1e9, 0) == 0
    made.obey({})
    assert (made.is_shut, made.slots(NOW + 60, 0)) == (False, 1)


def test_a_person_who_resumes_while_the_breaker_is_open_leaves_the_probes() -> None:
    made = opened()
    made.patch()
    state = {"breaker": {"state": "open"}}
    made.obey(state | {"hold": {"by": "user"}})
    made.obey(state)
    assert (made.breaker, made.slots(NOW + 100, 0)) == ("open", 1)


def test_a_hold_that_comes_back_right_after_a_resume_is_probed_from_the_start() -> None:
    made = gate()
    for _ in range(4):
        made.refuse("1/a", "gone", 410, "", made.next_s() or NOW, min_attempts=5)
    made.obey({})
    made.patch()
    assert made.refuse("1/a", "gone", 410, "", NOW + 50, min_attempts=5)
    assert (made.next_s(), made.patch() is not None) == (NOW + 55, True)


def test_a_person_ends_a_hold_by_relay_for_good() -> None:
    made = gate()
    made.refuse("1/a", "gone", 410, "", NOW, min_attempts=5)
    made.patch()
    made.obey({})
    assert not made.is_shut
    assert made.patch() == {"breaker": None, "hold": None, "suspects": None}  # whatever a settle on its way has written


def test_changed_settings_open_up() -> None:
    for made in (opened(), gate({"hold": {"by": "relay", "code": "credentials", "since_s": NOW}})):
        made.settings_changed()
        assert (made.is_shut, made.slots(NOW + 20, 0)) == (False, 1)


# whose fault


def test_an_event_that_is_refused_while_others_succeed_dies_after_min_attempts() -> None:
    made, now_s = gate(), NOW
    for i in range(4):
        assert made.refuse("7/a", "credentials", 403, "", now_s, min_attempts=5)
        assert made.success(f"{i}/a", now_s + 400)
        made = round_trip(made, now_s=now_s)  # and a restart does not help it
        now_s += 1_000
    assert not made.refuse("7/a", "credentials", 403, "", now_s, min_attempts=5)
    assert not made.is_shut
    assert made.refuse("8/a", "credentials", 403, "", now_s, min_attempts=5)


def test_refusals_without_a_success_are_nobodys_fault() -> None:
    made, now_s = gate(), NOW
    for _ in range(50):
        assert made.refuse("7/a", "credentials", 401, "", now_s, min_attempts=2)
        now_s = made.next_s()
    made.success("7/a", now_s)
    assert made.refuse("7/a", "credentials", 401, "", now_s, min_attempts=2)


def test_suspects_are_bounded() -> None:
    made = gate()
    for round_ in range(10):
        for i in range(40):
            made.refuse(f"{round_}.{i}/a", "credentials", 403, "", NOW + round_ * 1_000, min_attempts=5)
        made.success("ok/a", NOW + round_ * 1_000 + 500)
    assert len(made.patch()["suspects"]) <= SUSPECTS


@pytest.mark.parametrize(
    ("status", "holds"), [(404, True), (405, True), (501, True), (302, True), (400, False), (413, False), (422, False), (None, False)]
)
def test_twenty_permanent_failures_of_one_status_hold(status: int | None, holds: bool) -> None:
    made = gate()
    told = [made.permanent(status, "sample", NOW + i) for i in range(REFUSALS)]
    assert told == [False] * (REFUSALS - 1) + [holds]
    assert made.is_shut == holds
    if holds:
        assert made.hold == {"by": "relay", "code": "refused", "since_s": NOW + 19, "status": status, "sample": "sample"}
        assert made.next_s() == NOW + 24


def test_another_status_or_a_success_starts_the_twenty_anew() -> None:
    made = gate()
    for _ in range(19):
        made.permanent(404, "", NOW)
    made.permanent(405, "", NOW)
    for _ in range(19):
        assert not made.permanent(404, "", NOW)
    made.success("1/a", NOW)
    for _ in range(19):
        assert not made.permanent(404, "", NOW)
    assert made.permanent(404, "", NOW)


def test_a_receiver_that_refuses_all_takes_one_event_for_each_probe() -> None:
    made = gate()
    for _ in range(REFUSALS):
        made.permanent(404, "", NOW)
    now_s, taken = NOW, 0
    while now_s < NOW + 300:
        if made.slots(now_s, 0):
            made.permanent(404, "", now_s)
            taken += 1
        now_s += 1
    assert taken == 5  # after 5, 15, 35, 75 and 155 s


# what is stored


@pytest.mark.parametrize("shut", ["breaker", "hold", "both"])
def test_the_state_survives_as_json(shut: str) -> None:
    made = gate() if shut == "hold" else opened()
    if shut != "breaker":
        made.refuse("1/a", "credentials", 401, "x", NOW + STREAK, min_attempts=5)
    now_s = NOW + STREAK + 1
    again = round_trip(made, now_s=now_s)
    assert (again.breaker, again.hold, again.since_s, again.next_s()) == (made.breaker, made.hold, made.since_s, made.next_s())
    assert again.slots(now_s, 0) == made.slots(now_s, 0) == 0
    at_s = made.next_s()
    made.failure(at_s)
    again.failure(at_s)
    assert again.next_s() == made.next_s()  # the distance goes on growing
    assert again.success("2/a", at_s + 1)


def test_nothing_is_written_when_nothing_changed() -> None:
    made = gate()
    made.failure(NOW)
    made.success("1/a", NOW)
    made.permanent(404, "", NOW)
    assert made.patch() is None
    made = opened()
    assert made.patch() is not None
    assert made.patch() is None


@pytest.mark.parametrize("next_s", [NOW + 1e9, float("1e300")])
def test_a_next_probe_that_is_too_far_away_is_brought_near(next_s: float) -> None:
    made = gate({"breaker": {"state": "open", "since_s": NOW, "probes": 3, "next_s": next_s}})
    assert made.next_s() == NOW + PROBE_MAX_S
