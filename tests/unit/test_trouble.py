"""Errors by code, and what needs attention."""

from typing import Any

import pytest

from relay.control.attention import Concern, concerns
from relay.control.periods import Counts
from relay.control.trouble import troubles
from relay.outbox.interface import SampleGroup

ROW: dict[str, Any] = {"state": "running", "hold_code": None, "held_by": None, "hold_status": None, "since": None}
GOOD = Concern("ga4", "GA 4", "running", None, None, 1.0, 100, 0.0, 0, 0, True)


def told(counts: Counts, groups: dict[str, SampleGroup] | None = None, waiting: dict[str, int] | None = None, **row: Any) -> list[Any]:
    return troubles(counts, groups or {}, waiting or {}, ROW | row, since_s=0.0, step_s=60.0)


def counts(**seen: int) -> Counts:
    """`retry_500=3`: three retries of code 500 in minute 10."""
    made = Counts(1)
    for name, count in seen.items():
        stage, _, code = name.partition("_")
        made.totals[stage, code], made.seen[stage, code] = count, (10, 20)
    return made


def test_a_code_is_one_group_however_it_ended() -> None:
    (found,) = told(counts(retry_503=4, dead_503=1), {"503": SampleGroup("503", 5, "dead", 503, 1_230.5)})
    assert (found.code, found.status, found.count, found.first_s, found.last_s, found.state, found.samples) == (
        "503",
        503,
        5,
        600.0,
        1_230.5,
        "dead",
        5,
    )
    shown = found.told()
    assert (shown["meaning"], shown["advice"]) == ("the receiver answered 503", "Usually temporary; relay keeps trying.")


@pytest.mark.parametrize(
    ("failed", "waiting", "row", "state"),
    [
        (counts(retry_500=1), {"500": 3}, {}, "retrying"),
        (counts(retry_500=1), {}, {"state": "breaker_open"}, "retrying"),
        (counts(retry_500=1), {}, {}, "over"),
        (counts(dead_500=1), {}, {}, "dead"),
        (counts(expired_500=1), {}, {}, "expired"),
        (counts(dead_500=1), {"500": 1}, {"hold_code": "500", "held_by": "relay"}, "held"),
    ],
)
def test_the_state_tells_whether_it_goes_on(failed: Counts, waiting: dict[str, int], row: dict[str, Any], state: str) -> None:
    assert [one.state for one in told(failed, waiting=waiting, **row)] == [state]


def test_a_hold_in_force_is_an_error_even_without_a_count_but_a_persons_is_none() -> None:
    row = {"state": "held", "hold_code": "credentials", "held_by": "relay", "hold_status": 401, "since": 77.0}
    (found,) = told(Counts(1), **row)
    assert (found.code, found.status, found.count, found.first_s, found.state, found.samples) == ("credentials", 401, 1, 77.0, "held", 0)
    assert told(Counts(1), **(row | {"hold_code": "user", "held_by": "user"})) == []


def test_samples_of_stopped_events_are_no_errors_and_those_of_past_holds_are() -> None:
    groups = {"NO_MATCHING_MAPPING": SampleGroup("NO_MATCHING_MAPPING", 1, "filtered", None, 50.0), "gone": SampleGroup("gone", 2, "hold", 410, 50.0)}
    (found,) = told(Counts(1), groups)
    assert (found.code, found.status, found.count, found.state) == ("gone", 410, 2, "over")
    assert [one.state for one in told(Counts(1), groups, state="breaker_open")] == ["retrying"]


def test_the_newest_error_comes_first() -> None:
    made = counts(dead_400=1, retry_500=9)
    made.seen["dead", "400"] = (10, 30)
    assert [one.code for one in told(made)] == ["400", "500"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"state": "held", "hold_code": "credentials", "held_by": "relay", "pending": 3}, [("bad", "401 or 403")]),
        ({"state": "held", "hold_code": "user", "held_by": "user", "pending": 1}, [("info", "held by a person, 1 waits")]),
        ({"state": "breaker_open", "success": 0.1, "pending": 1_500}, [("bad", "relay probes it, 1,500 wait")]),
        ({"success": 0.9}, [("warn", "90% of the attempts")]),
        ({"success": 0.2, "dead": 1}, [("bad", "20%"), ("warn", "1 dead letter")]),
        ({"oldest_s": 100_000 - 7_200.0, "pending": 5}, [("warn", "2 h behind, 5 wait")]),
        ({"balance_ok": False, "dead": 2}, [("bad", "do not balance"), ("warn", "2 dead letters")]),
        ({"state": "disabled", "oldest_s": 1.0}, []),
    ],
)
def test_what_needs_attention_is_told_in_one_line_the_worst_first(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    one = Concern(**({name: getattr(GOOD, name) for name in Concern.__slots__} | changes))
    found = concerns(100_000.0, [GOOD, one], [])
    assert [level for level, _ in expected] == [attention.level for attention in found]
    for (_, words), attention in zip(expected, found, strict=True):
        assert words in attention.text
        assert attention.href == "/ui/destinations/ga4"


def test_a_source_whose_messages_are_refused_needs_attention() -> None:
    source = {"slug": "web", "name": "Website", "accepted": 90, "rejected": 10, "blocked": 0}
    (found,) = concerns(0.0, [], [source, source | {"rejected": 1}, source | {"rejected": 0}])
    assert (found.level, found.text, found.href) == ("warn", "Website: 10% of the messages are rejected", "/ui/sources/web")
