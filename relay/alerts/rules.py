"""What each kind of rule finds: pure, over counts per minute and the states of the moment. The caller acts.

Rules over counts look at two windows: the rule's own, and its last fifth. Both must be bad, so that an alert ends soon after the cause.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from relay.alerts.series import Series
from relay.workspace.alert_rules import KINDS
from relay.workspace.model import BUILT_IN_SOURCE, AlertRule

STRENGTH: Final = (
    "balance", "actor_restarts", "held", "breaker_open", "dead", "success_rate", "backlog_age",
    "source_silent", "rejected_share", "volume_change", "violations", "disk",
)  # fmt: skip
"""Strongest first: of several signals of one cause the first gives the alert its name."""
FAMILIES: Final[Mapping[str, str]] = {
    "actor_restarts": "delivery", "held": "delivery", "breaker_open": "delivery", "dead": "delivery", "success_rate": "delivery",
    "backlog_age": "delivery", "balance": "books", "source_silent": "traffic", "rejected_share": "traffic", "volume_change": "traffic",
    "violations": "plan", "disk": "disk",
}  # fmt: skip
"""Kinds of one family about one subject have one cause."""
COUNTED: Final = ("success_rate", "dead", "rejected_share", "volume_change", "source_silent", "violations")
"""Kinds that need nothing but counts, so they can be tested on the past."""
DAY_M: Final = 1440
DISK_STEPS: Final = (0.9, 1.0)


@dataclass(frozen=True, slots=True)
class DestinationNow:
    """A destination at the moment of a check."""

    destination_id: str
    slug: str
    enabled: bool = True
    hold: Mapping[str, Any] = field(default_factory=dict)
    """`{by, code, status, since_s, sample}`; empty: deliveries go on."""
    breaker: str = "closed"
    breaker_since_s: float = 0.0
    pending: int = 0
    oldest_s: float = 0.0
    """When the oldest pending event came in; 0: nothing waits."""
    crashes_s: tuple[float, ...] = ()
    """When its actor crashed, as far as remembered."""
    balance_ok: bool = True


@dataclass(frozen=True, slots=True)
class SourceNow:
    """A source at the moment of a check."""

    source_id: str
    slug: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Disk:
    """Room, as shares: 1 is the limit."""

    used_share: float = 0.0
    """Of max_db_bytes."""
    reserve_share: float = 0.0
    """min_free_bytes as a share of what is free."""
    closed: str = ""
    """Why ingest is closed; empty: it is open."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that a check looks at."""

    now_s: float
    started_s: float
    """Since when this process runs: a source cannot be silent while nobody listened."""
    series: Series
    destinations: Sequence[DestinationNow] = ()
    sources: Sequence[SourceNow] = ()
    disk: Disk = Disk()
    firing: frozenset[tuple[str, str]] = frozenset()
    """(kind, slug) of the signals of the last check."""

    @property
    def minute(self) -> int:
        return int(self.now_s // 60)


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule's condition holds for a subject."""

    rule: AlertRule
    subject_kind: str
    """`destination`, `source` or `relay`."""
    slug: str
    value: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Numbers for the sentence; `code`, `status` and `sample` where a state has them."""

    @property
    def kind(self) -> str:
        return self.rule.kind

    @property
    def cause(self) -> str:
        """Equal for signals that have one cause."""
        return f"{FAMILIES[self.rule.kind]}:{self.subject_kind}:{self.slug}"

    @property
    def strength(self) -> int:
        return strength_of(self.kind, self.value)


def strength_of(kind: str, value: float) -> int:
    """The lower the stronger. A disk that fills grows stronger at 90 and at 100 %."""
    steps = sum(value >= limit for limit in DISK_STEPS) if kind == "disk" else 0
    return 10 * STRENGTH.index(kind) - steps


def find_signals(rules: Sequence[AlertRule], moment: Moment) -> list[Signal]:
    """All signals of a moment, the strongest first. A disabled source or destination gives none, nor does the source `relay`."""
    found: list[Signal] = []
    for rule in rules:
        if rule.enabled:
            found += _signals(rule, moment)
    return sorted(found, key=lambda signal: signal.strength)


def by_cause(signals: Sequence[Signal]) -> dict[str, list[Signal]]:
    """Signals by their cause, the strongest first in each."""
    causes: dict[str, list[Signal]] = {}
    for signal in signals:
        causes.setdefault(signal.cause, []).append(signal)
    return causes


def span_m(rules: Sequence[AlertRule]) -> int:
    """How many minutes of counts the rules need."""
    return max((_span_m(rule) for rule in rules if rule.enabled), default=0) + 10


def _span_m(rule: AlertRule) -> int:
    if rule.kind == "volume_change":
        return 2 * rule.window_m
    return rule.window_m + (DAY_M if rule.kind == "source_silent" else 0)


def _signals(rule: AlertRule, moment: Moment) -> list[Signal]:
    subject_kind = KINDS[rule.kind].subject
    if subject_kind == "relay":
        return _found(rule, "relay", BUILT_IN_SOURCE, _disk(rule, moment.disk))
    found: list[Signal] = []
    subjects: Sequence[DestinationNow | SourceNow] = moment.destinations if subject_kind == "destination" else moment.sources
    for one in subjects:
        if not one.enabled or rule.subject not in ("", one.slug):
            continue
        if rule.kind not in COUNTED:
            assert isinstance(one, DestinationNow)
            found += _found(rule, subject_kind, one.slug, STATES[rule.kind](rule, one, moment))
            continue
        if rule.kind == "source_silent" and moment.now_s - moment.started_s < rule.window_m * 60:
            continue
        subject_id = one.destination_id if isinstance(one, DestinationNow) else one.source_id
        goes_on = (rule.kind, one.slug) in moment.firing
        found += _found(rule, subject_kind, one.slug, look_at_counts(rule, moment.series, subject_id, moment.minute, goes_on=goes_on))
    return found


def _found(rule: AlertRule, subject_kind: str, slug: str, finding: "Finding | None") -> list[Signal]:
    return [] if finding is None else [Signal(rule, subject_kind, slug, finding.value, finding.facts)]


@dataclass(frozen=True, slots=True)
class Finding:
    """The condition holds: with which value, and what a sentence about it needs."""

    value: float
    facts: Mapping[str, Any] = field(default_factory=dict)


# over counts


def look_at_counts(rule: AlertRule, series: Series, subject_id: str, minute: int, *, goes_on: bool = False) -> Finding | None:
    """One of the COUNTED kinds at one minute. `goes_on`: it held a moment before; then a silence lasts until an event comes."""
    subject, window_m = (KINDS[rule.kind].subject, subject_id), rule.window_m
    counts, recent = series.window(subject, minute, window_m), series.window(subject, minute, max(1, window_m // 5))
    if rule.kind == "success_rate":
        return _too_low(rule, counts.delivered, counts.failed, recent.delivered, recent.failed)
    if rule.kind == "rejected_share":
        return _too_high(rule, counts.rejected, counts.received, recent.rejected, recent.received)
    if rule.kind == "dead":
        return _too_many(rule, counts.lost, recent.lost)
    if rule.kind == "violations":
        return _too_many(rule, counts.violations, recent.violations)
    if rule.kind == "volume_change":
        return _changed(rule, series, (subject[0], subject_id), minute)
    day_ago = series.window(subject, minute - DAY_M, window_m).received
    if counts.received >= max(1.0, rule.threshold) or (day_ago < max(1, rule.min_events) and not goes_on):
        return None
    before = series.between(subject, minute - 2 * window_m - 1, minute - window_m - 1).received
    if before < rule.min_events and not goes_on:
        return None  # it was quiet already: no silence begins here
    return Finding(counts.received, {"day_ago": day_ago})


def _too_low(rule: AlertRule, good: int, bad: int, good_now: int, bad_now: int) -> Finding | None:
    total = good + bad
    if not total or total < rule.min_events or good / total >= rule.threshold:
        return None
    if not bad_now or good_now / (good_now + bad_now) >= rule.threshold:
        return None
    return Finding(good / total, {"attempts": total, "failed": bad})


def _too_high(rule: AlertRule, bad: int, good: int, bad_now: int, good_now: int) -> Finding | None:
    total = good + bad
    if not total or total < rule.min_events or bad / total <= rule.threshold:
        return None
    if not bad_now or bad_now / (good_now + bad_now) <= rule.threshold:
        return None
    return Finding(bad / total, {"messages": total, "refused": bad})


def _too_many(rule: AlertRule, count: int, count_now: int) -> Finding | None:
    return Finding(count) if count_now and count >= max(rule.threshold, rule.min_events, 1) else None


def _changed(rule: AlertRule, series: Series, subject: tuple[str, str], minute: int) -> Finding | None:
    window_m, keep = rule.window_m, 1 - rule.threshold
    now = series.between(subject, minute - window_m, minute).received
    before = series.between(subject, minute - 2 * window_m, minute - window_m).received
    first = series.first(subject)
    if not before or before < rule.min_events or first is None or first > minute - 2 * window_m + window_m // 24 + 1:
        return None  # the window before must be whole: a new source is no change
    if keep * before <= now and now * keep <= before:
        return None
    return Finding(now / before - 1, {"now": now, "before": before})


# over states


def _held(rule: AlertRule, one: DestinationNow, moment: Moment) -> Finding | None:
    if not one.hold:
        return None
    since_s = float(one.hold.get("since_s") or moment.now_s)
    if one.hold.get("by") == "user" and moment.now_s - since_s < rule.window_m * 60:
        return None
    return Finding(1, {key: one.hold.get(key) for key in ("by", "code", "status", "sample")} | {"since_s": since_s, "pending": one.pending})


def _breaker(rule: AlertRule, one: DestinationNow, moment: Moment) -> Finding | None:
    if one.breaker == "closed" or one.hold:
        return None
    return Finding(1, {"code": "breaker_open", "since_s": one.breaker_since_s, "pending": one.pending})


def _backlog(rule: AlertRule, one: DestinationNow, moment: Moment) -> Finding | None:
    age_s = moment.now_s - one.oldest_s if one.oldest_s else 0.0
    return Finding(age_s, {"pending": one.pending}) if one.pending >= max(1, rule.min_events) and age_s > rule.threshold else None


def _restarts(rule: AlertRule, one: DestinationNow, moment: Moment) -> Finding | None:
    count = sum(1 for at_s in one.crashes_s if moment.now_s - at_s < rule.window_m * 60)
    return Finding(count, {"code": "bug"}) if count >= max(1, rule.threshold) else None


def _balance(rule: AlertRule, one: DestinationNow, moment: Moment) -> Finding | None:
    return None if one.balance_ok else Finding(1)


def _disk(rule: AlertRule, disk: Disk) -> Finding | None:
    value = 1.0 if disk.closed else max(disk.used_share, disk.reserve_share)
    if value < rule.threshold:
        return None
    return Finding(min(1.0, value), {"closed": disk.closed, "database": disk.used_share >= disk.reserve_share})


STATES: Final[Mapping[str, Callable[[AlertRule, DestinationNow, Moment], Finding | None]]] = {
    "held": _held, "breaker_open": _breaker, "backlog_age": _backlog, "actor_restarts": _restarts, "balance": _balance,
}  # fmt: skip


# over time


@dataclass(frozen=True, slots=True)
class Changes:
    """What a check changed: causes that began, those that grew stronger, and those that ended."""

    fired: tuple[str, ...]
    rose: tuple[str, ...]
    ended: tuple[str, ...]


class Hysteresis:
    """A cause fires after `fire_checks` checks in a row that found it, and ends after `end_checks` in a row that did not."""

    def __init__(self, firing: Mapping[str, int] | None = None, *, fire_checks: int = 2, end_checks: int = 4) -> None:
        """`firing`: cause to its greatest strength so far, of alerts that an earlier process fired."""
        self.firing: dict[str, int] = dict(firing or {})
        self._bad: dict[str, int] = {}
        self._fine: dict[str, int] = {}
        self._fire_checks = fire_checks
        self._end_checks = end_checks

    def step(self, found: Mapping[str, int]) -> Changes:
        """One check: `found` is cause to its strength now (`strength_of`)."""
        self._bad = {cause: self._bad.get(cause, 0) + 1 for cause in found if cause not in self.firing}
        self._fine = {cause: self._fine.get(cause, 0) + 1 for cause in self.firing if cause not in found}
        fired = tuple(cause for cause, checks in self._bad.items() if checks >= self._fire_checks)
        ended = tuple(cause for cause, checks in self._fine.items() if checks >= self._end_checks)
        rose = tuple(cause for cause, strength in found.items() if strength < self.firing.get(cause, 0))
        for cause in ended:
            del self.firing[cause]
        for cause in (*fired, *rose):
            self.firing[cause] = found[cause]
        return Changes(fired, rose, ended)


def count_firings(rule: AlertRule, series: Series, subject_ids: Sequence[str], since_minute: int, until_minute: int, *, end_m: int = 2) -> int:
    """How often a rule over counts would have fired: the back-test. Looks each fifth of its window, each minute at the least."""
    step_m = max(1, rule.window_m // 5)
    count = 0
    for subject_id in subject_ids:
        fine_m, firing = 0, False
        for minute in range(since_minute, until_minute + 1, step_m):
            finding = look_at_counts(rule, series, subject_id, minute, goes_on=firing)
            if finding is not None:
                count, firing, fine_m = count + (not firing), True, 0
            elif firing:
                fine_m += step_m
                firing = fine_m < end_m
    return count
