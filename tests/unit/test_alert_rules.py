"""Every kind of rule as a table: when its condition holds, when it says nothing, and how an alert begins and ends."""

from dataclasses import replace
from typing import Any

import pytest

from relay.alerts.rules import (
    COUNTED,
    FAMILIES,
    STRENGTH,
    DestinationNow,
    Disk,
    Hysteresis,
    Moment,
    Signal,
    SourceNow,
    by_cause,
    count_firings,
    find_signals,
    span_m,
    strength_of,
)
from relay.alerts.series import Counts, Series
from relay.alerts.telling import cure_of, describe, span_text
from relay.observe.tallies import Tally, TallyKey
from relay.workspace.alert_rules import KINDS, default_rules
from relay.workspace.model import AlertRule

NOW_M = 30_000_000
NOW_S = NOW_M * 60.0 + 30
DAY_M = 1440
RULES = {rule.kind: rule for rule in default_rules()}


def tally(*rows: tuple[int, str, str, int]) -> Tally:
    """(minutes ago, stage of `orders` or stage of source `web`, code, count)."""
    made: Tally = {}
    for ago, stage, code, count in rows:
        destination = "" if stage in ("ingest", "source", "blocked", "violation") else "orders"
        made[TallyKey(NOW_M - ago, "web", destination, stage, code, True)] = count
    return made


def series(*rows: tuple[int, str, str, int]) -> Series:
    made = Series()
    made.refresh(0, tally(*rows))
    return made


def each_minute(first_ago: int, last_ago: int, stage: str, count: int) -> list[tuple[int, str, str, int]]:
    """The same count in every minute from `first_ago` down to `last_ago` minutes ago."""
    return [(ago, stage, "track" if stage == "source" else "x", count) for ago in range(last_ago, first_ago + 1)]


def moment(made: Series | None = None, destination: DestinationNow | None = None, **more: Any) -> Moment:
    destinations = (destination or DestinationNow("orders", "orders"),)
    return Moment(NOW_S, more.pop("started_s", 0.0), made or Series(), destinations, (SourceNow("web", "web"),), **more)


def kinds(at: Moment, *rules: AlertRule) -> list[str]:
    return [signal.kind for signal in find_signals(rules or default_rules(), at)]


COUNT_CASES = [
    # success_rate: below 95 % of at least 50 attempts within 15 minutes, and in the last 3
    ("success_rate", [(5, "delivered", "delivered", 90), (1, "retry", "503", 10)], True),
    ("success_rate", [(5, "delivered", "delivered", 96), (1, "retry", "503", 4)], False),
    ("success_rate", [(5, "delivered", "delivered", 30), (1, "retry", "503", 10)], False),  # too few
    ("success_rate", [(5, "retry", "503", 90), (1, "delivered", "delivered", 90)], False),  # over already
    ("success_rate", [(5, "retry", "503", 90)], False),  # no attempt of late: nothing is failing now
    ("success_rate", [(40, "retry", "503", 90), (1, "retry", "503", 9)], False),  # older than the window
    ("success_rate", [(1, "dead", "PAYLOAD_VALIDATION_FAILED", 90), (1, "delivered", "delivered", 90)], False),  # nothing was sent
    ("success_rate", [(1, "filtered", "NO_MATCHING_MAPPING", 900), (1, "delivered", "delivered", 90)], False),
    # dead: ten within 15 minutes, one of them within the last 3
    ("dead", [(2, "dead", "400", 10)], True),
    ("dead", [(2, "dead", "400", 9)], False),
    ("dead", [(9, "dead", "400", 50)], False),
    ("dead", [(9, "dead", "400", 50), (1, "dead", "400", 1)], True),
    ("dead", [(1, "expired", "expired", 10)], True),
    ("dead", [(1, "discarded", "by_hand", 100)], False),
    # rejected_share: above 5 % of at least 50 messages
    ("rejected_share", [(1, "ingest", "id_required", 10), (1, "source", "track", 90)], True),
    ("rejected_share", [(1, "ingest", "id_required", 4), (1, "source", "track", 96)], False),
    ("rejected_share", [(1, "ingest", "id_required", 10)], False),
    ("rejected_share", [(1, "ingest", "duplicate", 90), (1, "source", "track", 90)], False),
    ("rejected_share", [(1, "ingest", "suppressed", 90), (1, "source", "track", 90)], False),
    # violations: a hundred within an hour
    ("violations", [(1, "blocked", "unplanned", 60), (20, "blocked", "unplanned", 40)], True),
    ("violations", [(1, "violation", "required", 100)], True),
    ("violations", [(1, "blocked", "unplanned", 60)], False),
    # source_silent: nothing for an hour, fifty in this hour yesterday and fifty in the hour before
    ("source_silent", [*each_minute(DAY_M + 60, DAY_M, "source", 5), *each_minute(120, 70, "source", 5)], True),
    ("source_silent", [*each_minute(DAY_M + 60, DAY_M, "source", 5), *each_minute(120, 5, "source", 5)], False),
    ("source_silent", each_minute(120, 70, "source", 500), False),  # yesterday it was quiet: a trial, or the night
    ("source_silent", each_minute(DAY_M + 60, DAY_M, "source", 5), False),  # quiet since yesterday
    # volume_change: less than half, or more than double, of at least 1,000 the day before
    ("volume_change", [*each_minute(2 * DAY_M, DAY_M, "source", 1), *each_minute(DAY_M // 3, 0, "source", 1)], True),
    ("volume_change", [*each_minute(2 * DAY_M, DAY_M, "source", 1), *each_minute(DAY_M, 0, "source", 3)], True),
    ("volume_change", [*each_minute(2 * DAY_M, DAY_M, "source", 1), *each_minute(int(DAY_M / 1.5), 0, "source", 1)], False),
    ("volume_change", [*each_minute(2 * DAY_M, DAY_M, "source", 1), *each_minute(DAY_M - 1, 0, "source", 2)], False),
    (
        "volume_change",
        [*each_minute(DAY_M + 300, DAY_M, "source", 10), *each_minute(DAY_M - 1, 0, "source", 10)],
        False,
    ),  # new: the day before is not whole
    ("volume_change", each_minute(100, 0, "source", 100), False),
]


@pytest.mark.parametrize(("kind", "rows", "holds"), COUNT_CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_rules_over_counts(kind: str, rows: list[tuple[int, str, str, int]], holds: bool) -> None:
    assert kinds(moment(series(*rows)), RULES[kind]) == ([kind] if holds else [])


HOLD = {"by": "relay", "code": "credentials", "status": 401, "since_s": NOW_S - 5, "sample": "bad key"}
STATE_CASES = [
    ("held", DestinationNow("orders", "orders", hold=HOLD), True),
    ("held", DestinationNow("orders", "orders", hold=HOLD | {"by": "user"}), False),
    ("held", DestinationNow("orders", "orders", hold=HOLD | {"by": "user", "since_s": NOW_S - 3601}), True),
    ("held", DestinationNow("orders", "orders", hold=HOLD, enabled=False), False),
    ("held", DestinationNow("orders", "orders"), False),
    ("breaker_open", DestinationNow("orders", "orders", breaker="open"), True),
    ("breaker_open", DestinationNow("orders", "orders", breaker="half_open"), True),
    ("breaker_open", DestinationNow("orders", "orders", breaker="open", hold=HOLD), False),
    ("breaker_open", DestinationNow("orders", "orders"), False),
    ("backlog_age", DestinationNow("orders", "orders", pending=10, oldest_s=NOW_S - 901), True),
    ("backlog_age", DestinationNow("orders", "orders", pending=10, oldest_s=NOW_S - 899), False),
    ("backlog_age", DestinationNow("orders", "orders", pending=9, oldest_s=NOW_S - 9000), False),  # single retries are no backlog
    ("backlog_age", DestinationNow("orders", "orders"), False),
    ("actor_restarts", DestinationNow("orders", "orders", crashes_s=(NOW_S - 800, NOW_S - 90, NOW_S - 1)), True),
    ("actor_restarts", DestinationNow("orders", "orders", crashes_s=(NOW_S - 1000, NOW_S - 90, NOW_S - 1)), False),
    ("balance", DestinationNow("orders", "orders", balance_ok=False), True),
    ("balance", DestinationNow("orders", "orders"), False),
]


@pytest.mark.parametrize(("kind", "destination", "holds"), STATE_CASES)
def test_rules_over_states(kind: str, destination: DestinationNow, holds: bool) -> None:
    assert kinds(moment(destination=destination), RULES[kind]) == ([kind] if holds else [])


@pytest.mark.parametrize(
    ("disk", "holds"),
    [(Disk(), False), (Disk(0.69, 0.5), False), (Disk(0.7), True), (Disk(0.1, 0.8), True), (Disk(closed="the disk reserve is reached"), True)],
)
def test_the_disk(disk: Disk, holds: bool) -> None:
    assert kinds(moment(disk=disk), RULES["disk"]) == (["disk"] if holds else [])


def test_every_kind_has_its_cases_and_its_place() -> None:
    tested = {kind for kind, _, holds in [*COUNT_CASES, *STATE_CASES] if holds} | {"disk"}
    assert tested == set(KINDS) == set(STRENGTH) == set(FAMILIES)
    assert {kind for kind, _, _ in COUNT_CASES} == set(COUNTED)


def test_a_fresh_idle_relay_is_silent() -> None:
    assert kinds(moment()) == []
    assert kinds(moment(series((0, "source", "track", 3), (0, "delivered", "delivered", 3)))) == []


def test_a_source_is_not_silent_while_nobody_listened() -> None:
    made = series(*each_minute(DAY_M + 60, DAY_M, "source", 5), *each_minute(120, 70, "source", 5))
    assert kinds(moment(made, started_s=NOW_S - 600), RULES["source_silent"]) == []


def test_a_silence_goes_on_into_the_night() -> None:
    made = series(*each_minute(120, 70, "source", 5))
    firing = frozenset({("source_silent", "web")})
    assert kinds(moment(made, firing=firing), RULES["source_silent"]) == ["source_silent"]
    assert kinds(moment(series((0, "source", "track", 1)), firing=firing), RULES["source_silent"]) == []


def test_a_rule_may_watch_one_subject_only() -> None:
    made = series((1, "dead", "400", 50))
    assert kinds(moment(made), replace(RULES["dead"], subject="orders")) == ["dead"]
    assert kinds(moment(made), replace(RULES["dead"], subject="crm")) == []
    assert kinds(moment(made), replace(RULES["dead"], enabled=False)) == []


def test_windows_reach_from_one_minute_to_what_the_series_keeps() -> None:
    short = replace(RULES["dead"], window_m=1)
    assert kinds(moment(series((1, "dead", "400", 50))), short) == ["dead"]
    assert kinds(moment(series((2, "dead", "400", 50))), short) == []
    assert span_m(default_rules()) >= 2 * DAY_M


def test_everything_about_one_destination_is_one_cause_with_the_strongest_name() -> None:
    made = series((1, "dead", "401", 50), (1, "delivered", "delivered", 100))
    at = moment(made, DestinationNow("orders", "orders", hold=HOLD, pending=2_000, oldest_s=NOW_S - 5_000, balance_ok=False))
    causes = by_cause(find_signals(default_rules(), at))
    assert {cause: [signal.kind for signal in signals] for cause, signals in causes.items()} == {
        "delivery:destination:orders": ["held", "dead", "success_rate", "backlog_age"],
        "books:destination:orders": ["balance"],
    }


WEAK, STRONG = strength_of("success_rate", 0.5), strength_of("held", 1)


def steps(states: str) -> list[str]:
    """One check per letter: `-` nothing, `w` weak, `s` strong; what each check changed."""
    watch, told = Hysteresis(), []
    for state in states:
        changes = watch.step({} if state == "-" else {"c": WEAK if state == "w" else STRONG})
        told.append("F" if changes.fired else "R" if changes.rose else "E" if changes.ended else ".")
    return told


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ("----", "...."),
        ("w-w-w-", "......"),  # never twice in a row
        ("ww", ".F"),
        ("wwwwww", ".F...."),  # fires once
        ("ww---", ".F..."),
        ("ww----", ".F...E"),
        ("ww---w----", ".F.......E"),  # not fine for long enough the first time
        ("ww----ww", ".F...E.F"),
        ("wwss", ".FR."),  # grew stronger
        ("ssww", ".F.."),  # grew weaker: nothing new
        ("ws", ".F"),
    ],
)
def test_an_alert_begins_after_two_checks_and_ends_after_four_fine_ones(states: str, told: str) -> None:
    assert "".join(steps(states)) == told


def test_what_an_earlier_process_fired_is_not_fired_again() -> None:
    watch = Hysteresis({"c": STRONG})
    assert not any((watch.step({"c": STRONG}).fired, watch.step({"c": STRONG}).rose))
    assert [bool(watch.step({}).ended) for _ in range(4)] == [False, False, False, True]


def test_a_disk_that_fills_grows_stronger_at_90_and_100_percent() -> None:
    assert strength_of("disk", 0.7) > strength_of("disk", 0.9) > strength_of("disk", 1.0)


def test_a_backtest_counts_the_times_it_would_have_fired() -> None:
    day = [(ago, "delivered", "delivered", 20) for ago in range(600)]
    bad = [(ago, "retry", "503", 40) for ago in (*range(100, 110), *range(300, 320), 500)]
    rule = replace(RULES["success_rate"], window_m=5)
    assert count_firings(rule, series(*day, *bad), ["orders"], NOW_M - 600, NOW_M) == 3
    assert count_firings(rule, series(*day), ["orders"], NOW_M - 600, NOW_M) == 0
    assert count_firings(rule, series(*day, *bad), [], NOW_M - 600, NOW_M) == 0


# series


def test_the_current_minute_grows_without_being_counted_twice() -> None:
    made = series((1, "delivered", "delivered", 5), (0, "delivered", "delivered", 2))
    made.refresh(NOW_M - 1, tally((1, "delivered", "delivered", 6), (0, "delivered", "delivered", 3)))
    assert made.window(("destination", "orders"), NOW_M, 5) == Counts(delivered=9)
    made.refresh(NOW_M, {})
    assert made.window(("destination", "orders"), NOW_M, 5) == Counts(delivered=6)


def test_forgetting_changes_no_window_that_is_left() -> None:
    rows = each_minute(100, 0, "delivered", 1)
    made, whole = series(*rows), series(*rows)
    made.forget(NOW_M - 50)
    for length in (1, 10, 49):
        assert made.window(("destination", "orders"), NOW_M, length) == whole.window(("destination", "orders"), NOW_M, length)
    assert made.first(("destination", "orders")) == NOW_M - 51


# words


def test_every_signal_has_its_sentence_and_its_cure() -> None:
    for kind, rows, holds in COUNT_CASES:
        for signal in find_signals([RULES[kind]], moment(series(*rows))) if holds else []:
            assert_told(signal)
    for kind, destination, holds in STATE_CASES:
        for signal in find_signals([RULES[kind]], moment(destination=destination)) if holds else []:
            assert_told(signal)
    assert_told(find_signals([RULES["disk"]], moment(disk=Disk(0.91)))[0])


def assert_told(signal: Signal) -> None:
    text = describe(signal)
    assert text.endswith(".")
    assert signal.slug in text or signal.kind == "disk"
    for code in ("", "credentials", "503", "spam_trap"):
        assert cure_of(signal, code)
        assert "{" not in cure_of(signal, code)


def test_the_cure_of_a_wrong_key_names_key_and_command() -> None:
    (signal,) = find_signals([RULES["held"]], moment(destination=DestinationNow("orders", "orders", hold=HOLD, pending=1200)))
    assert describe(signal) == "orders is held by relay (status 401); 1,200 events wait."
    assert "valid key" in cure_of(signal, "credentials")
    assert "relay resume orders" in cure_of(signal, "credentials")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (900, "15 minutes"), (7300, "2 hours"), (86400, "24 hours"), (200000, "2 days")],
)
def test_spans_in_words(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
