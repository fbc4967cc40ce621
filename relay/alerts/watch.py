"""The loop: looks every few seconds, fires one alert per cause, reminds, resolves, and tells each as an event of the source `relay`.

An alert is stored before it is told, so a restart neither fires it again nor forgets to tell it. A store that takes nothing at the moment
costs one check. While a cause is muted nothing is told about it; what still fires when the mute ends is told then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from relay.alerts.evidence import Witness
from relay.alerts.rules import (
    DestinationNow,
    Disk,
    Hysteresis,
    Moment,
    Signal,
    SourceNow,
    by_cause,
    find_signals,
    span_m,
    strength_of,
)
from relay.alerts.series import Series
from relay.alerts.store import FIRING, RESOLVED, Alert, AlertStore, Content, Mute, without
from relay.alerts.telling import cause_of, cure_of, describe, offences_text, unit_of
from relay.base.clock import Clock
from relay.errors import StoreError
from relay.kit.subjects import Subjects
from relay.observe.facts import AlertFired, AlertGoesOn, AlertResolved
from relay.observe.observer import Observer
from relay.outbox.interface import Outbox
from relay.pipeline.compiled import Compiled, CompiledDestination, Current
from relay.pipeline.derived import FIRED as FIRED_EVENT
from relay.pipeline.derived import REMINDED, alert_event
from relay.pipeline.derived import RESOLVED as RESOLVED_EVENT
from relay.pipeline.stages.normalize import time_text
from relay.workspace.alert_rules import effective_rules

log = structlog.get_logger("relay.alerts")

LATE_M: Final = 3
"""A count may be written this long after its minute."""
SLICE_M: Final = 120
TRIM_S: Final = 3600.0
EVENTS: Final[Mapping[str, str]] = {"fired": FIRED_EVENT, "reminded": REMINDED, "resolved": RESOLVED_EVENT}


@dataclass(frozen=True, slots=True)
class Pace:
    """The `[alerts]` settings."""

    check_every_s: float = 30.0
    repeat_every_h: float = 6.0


@dataclass(frozen=True, slots=True)
class Senses:
    """What is asked of rooms that alerts does not know."""

    restarts: Callable[[], Mapping[str, int]]
    """Crashes of each destination's actor since it started, by slug."""
    disk: Callable[[], Disk]
    link: Callable[[], str]
    """The address of the alerts page."""
    offences: Callable[[str, float], Awaitable[Sequence[Mapping[str, Any]]]]
    """Which rules of its plan a source (by slug) has broken most since a time."""


class Watch:
    """Runs until cancelled; `alerts` are those that fire now, by cause."""

    def __init__(
        self, *, outbox: Outbox, current: Current, store: AlertStore, witness: Witness, senses: Senses, pace: Pace, clock: Clock, observer: Observer
    ) -> None:
        self._outbox = outbox
        self._current = current
        self._store = store
        self._witness = witness
        self._senses = senses
        self._pace = pace
        self._clock = clock
        self._observer = observer
        self._started_s = clock.now()
        self._series = Series()
        self._from_m = self._read_m = 0
        """Counts from and up to these minutes have been read; 0: none have."""
        self._hysteresis = Hysteresis()
        self._found: frozenset[tuple[str, str]] = frozenset()
        self._crashes: dict[str, list[float]] = {}
        self._restarts: dict[str, int] = {}
        self._trimmed_s = 0.0
        self._opened = False
        self.checks = 0
        """Looks that were taken to their end."""
        self.alerts: dict[str, Alert] = {}
        self._untold: list[Alert] = []
        self.listeners: list[Callable[[Alert], None]] = []
        """Called with each alert that fired or was resolved."""

    async def run(self) -> None:
        while True:
            try:
                await self.check()
            except StoreError as error:
                log.warning("alert.check_failed", error=error.message)
            await asyncio.sleep(self._pace.check_every_s)

    async def check(self) -> None:
        """One look. Raises StoreError when the database takes or gives nothing; the next one goes on from there."""
        await self._open()
        now_s, compiled = self._clock.now(), self._current.compiled
        moment = await self._look(compiled, now_s)
        signals = find_signals(effective_rules(compiled.workspace.alert_rules), moment)
        self._found = frozenset((signal.kind, signal.slug) for signal in signals)
        causes = by_cause(signals)
        changes = self._hysteresis.step({cause: found[0].strength for cause, found in causes.items()})
        mutes = await self._store.mutes()
        for cause in mutes.keys() & self.alerts.keys():
            self.mute(cause, mutes[cause])  # what was muted while the last look went on
        for cause in [cause for cause in self.alerts if cause not in self._hysteresis.firing]:
            await self._resolve(self.alerts[cause], now_s)
        for cause, found in causes.items():
            if cause in self.alerts:
                await self._go_on(self.alerts[cause], found, now_s, rose=cause in changes.rose)
            elif cause in self._hysteresis.firing:
                await self._fire(found, mutes.get(cause), now_s)
        for alert in list(self.alerts.values()):
            await self._remind(alert, now_s)
        await self._tell(now_s)
        if now_s - self._trimmed_s >= TRIM_S:
            self._trimmed_s = now_s
            await self._store.trim(now_s)
        self.checks += 1

    def mute(self, cause: str, mute: Mute) -> None:
        """The store has muted a cause; what fires hears of it here."""
        if alert := self.alerts.get(cause):
            self.alerts[cause] = replace(alert, muted_until_s=mute.until_s, muted_by=mute.by)

    async def forget(self, users: Subjects) -> None:
        """Take what names these users out of every alert, here and in the store."""
        self.alerts = {cause: replace(alert, content=without(alert.content, users)) for cause, alert in self.alerts.items()}
        self._untold = [replace(alert, content=without(alert.content, users)) for alert in self._untold]
        await self._store.erase(users)

    # what is

    async def _open(self) -> None:
        """Once: what an earlier process has fired goes on, and what it did not get to tell is told."""
        if self._opened:
            return
        stored = await self._store.open_alerts()
        self.alerts = {alert.cause: alert for alert in stored if alert.state == FIRING}
        self._untold = [alert for alert in stored if alert.state == RESOLVED]
        self._hysteresis = Hysteresis({cause: strength_of(alert.kind, alert.value) for cause, alert in self.alerts.items()})
        self._found = frozenset((alert.kind, alert.slug) for alert in self.alerts.values())
        self._opened = True
        for alert in self.alerts.values():
            self._observer.emit(AlertGoesOn(alert.rule, alert.slug, self._firing(alert.rule)))

    async def _look(self, compiled: Compiled, now_s: float) -> Moment:
        await self._read_counts(compiled, int(now_s // 60))
        self._note_crashes(now_s)
        destinations = [await self._destination(one) for one in compiled.destinations.values()]
        sources = [SourceNow(one.source_id, one.slug, one.enabled) for one in compiled.workspace.sources]
        return Moment(now_s, self._started_s, self._series, destinations, sources, self._senses.disk(), self._found)

    async def _read_counts(self, compiled: Compiled, minute: int) -> None:
        """The first time, and when a rule looks further back, all that the rules need, in slices; then the minutes that may have grown."""
        oldest = minute - span_m(effective_rules(compiled.workspace.alert_rules))
        is_new = not self._read_m or oldest < self._from_m
        start = oldest if is_new else max(oldest, self._read_m - LATE_M)
        self._from_m = oldest
        for first in range(start, minute + 1, SLICE_M):
            tally = await self._outbox.history.tallies(first, min(first + SLICE_M, minute + 1))
            self._series.refresh(first, tally)
        self._read_m = minute
        self._series.forget(oldest)

    def _note_crashes(self, now_s: float) -> None:
        counts = dict(self._senses.restarts())
        for slug, count in counts.items():
            more = count - self._restarts.get(slug, 0)
            if more > 0:
                self._crashes[slug] = [*self._crashes.get(slug, ())[-50:], *[now_s] * more]
        self._restarts = counts

    async def _destination(self, one: CompiledDestination) -> DestinationNow:
        model = one.destination
        cursor = await self._outbox.cursor(model.destination_id)
        if cursor is None or not model.enabled:
            return DestinationNow(model.destination_id, model.slug, model.enabled)
        balance = await self._outbox.balance(cursor.name)
        depth = await self._outbox.depth(cursor.name)
        breaker = cursor.state.get("breaker") or {}
        return DestinationNow(
            model.destination_id,
            model.slug,
            model.enabled,
            cursor.state.get("hold") or {},
            str(breaker.get("state", "closed")),
            float(breaker.get("since_s", 0.0)),
            depth.pending,
            depth.oldest_s,
            tuple(self._crashes.get(model.slug, ())),
            balance.holds,
        )

    # what changes

    async def _fire(self, found: Sequence[Signal], mute: Mute | None, now_s: float) -> None:
        signal = found[0]
        mute = mute if mute and mute.until_s > now_s else None
        evidence = await self._witness.testify(signal, self._destination_id(signal), now_s)
        content = _content(
            found, evidence.code, Content(sample=evidence.sample, change=evidence.change, offences=await self._offences(signal, now_s))
        )
        alert = Alert(
            0, signal.cause, FIRING, signal.rule.name, signal.kind, signal.subject_kind, signal.slug, signal.value, signal.rule.threshold,
            now_s, muted_until_s=mute.until_s if mute else None, muted_by=mute.by if mute else "", content=content,
        )  # fmt: skip
        alert = await self._store.add(replace(alert, untold="" if alert.is_muted(now_s) else "fired"))
        self.alerts[alert.cause] = alert
        self._observer.emit(AlertFired(alert.rule, alert.slug, content.text, self._firing(alert.rule)))
        self._announce(alert)

    async def _go_on(self, alert: Alert, found: Sequence[Signal], now_s: float, *, rose: bool) -> None:
        """Numbers follow in memory; a stronger signal of the same cause gives the alert its name, and is told."""
        signal = found[0]
        if not rose:
            same = next((one for one in found if one.kind == alert.kind), None)
            also = tuple(one.kind for one in found if one.kind != alert.kind)
            text = describe(same) if same else alert.content.text
            value = same.value if same else alert.value
            self.alerts[alert.cause] = replace(alert, value=value, content=replace(alert.content, text=text, also=also))
            return
        evidence = await self._witness.testify(signal, self._destination_id(signal), now_s)
        kept = replace(
            alert.content, sample=evidence.sample or alert.content.sample, change=alert.content.change or evidence.change,
            offences=await self._offences(signal, now_s),
        )  # fmt: skip
        before = alert.rule
        alert = replace(
            alert, rule=signal.rule.name, kind=signal.kind, value=signal.value, threshold=signal.rule.threshold,
            content=_content(found, evidence.code, kept), reminded_s=now_s, untold=_next_word(alert, now_s),
        )  # fmt: skip
        await self._store.change(alert)
        self.alerts[alert.cause] = alert
        if before != alert.rule:
            self._observer.emit(AlertGoesOn(before, alert.slug, self._firing(before)))
        self._observer.emit(AlertGoesOn(alert.rule, alert.slug, self._firing(alert.rule)))
        self._announce(alert)

    async def _remind(self, alert: Alert, now_s: float) -> None:
        if alert.untold or alert.is_muted(now_s):
            return
        last_s, every_s = alert.reminded_s or alert.opened_s, self._pace.repeat_every_h * 3600
        if alert.told and not (every_s and now_s - last_s >= every_s):
            return
        alert = replace(alert, reminded_s=now_s if alert.told else alert.reminded_s, untold=_next_word(alert, now_s))
        await self._store.change(alert)
        self.alerts[alert.cause] = alert

    async def _resolve(self, alert: Alert, now_s: float) -> None:
        """What was never told needs no all-clear; nor does what is muted."""
        told = alert.told or alert.untold
        alert = replace(alert, state=RESOLVED, resolved_s=now_s, untold="resolved" if told and not alert.is_muted(now_s) else "")
        await self._store.change(alert)
        del self.alerts[alert.cause]
        if alert.untold:
            self._untold.append(alert)
        self._observer.emit(AlertResolved(alert.rule, alert.slug, now_s - alert.opened_s, self._firing(alert.rule)))
        self._announce(alert)

    async def _tell(self, now_s: float) -> None:
        """Append the events of what is not told yet; the messageId is the same however often it is tried."""
        for alert in [*self.alerts.values(), *self._untold]:
            if not alert.untold:
                continue
            event = alert_event(
                EVENTS[alert.untold],
                properties_of(alert, self._senses.link()),
                message_id=f"alert-{int(alert.opened_s * 1000)}-{alert.alert_id}-{alert.told + 1}-{alert.untold}",
                at_ms=int(now_s * 1000),
            )
            (appended,) = await self._outbox.append([event], internal=True)
            told = await self._store.mark_told(alert, appended.seq or alert.seq)
            if alert.state == FIRING:
                self.alerts[alert.cause] = told
            else:
                self._untold.remove(alert)

    def _firing(self, rule: str) -> int:
        return sum(1 for alert in self.alerts.values() if alert.rule == rule)

    def _announce(self, alert: Alert) -> None:
        for listener in self.listeners:
            listener(alert)

    async def _offences(self, signal: Signal, now_s: float) -> tuple[Mapping[str, Any], ...]:
        if signal.kind != "violations":
            return ()
        return tuple(await self._senses.offences(signal.slug, now_s - signal.rule.window_m * 60))

    def _destination_id(self, signal: Signal) -> str:
        if signal.subject_kind != "destination":
            return ""
        found = (one.destination for one in self._current.compiled.destinations.values() if one.destination.slug == signal.slug)
        return next((one.destination_id for one in found), "")


def properties_of(alert: Alert, link: str) -> dict[str, Any]:
    """The properties of an alert's event: flat where a mapping may want them, times as ISO texts."""
    content = alert.content
    return {
        "alert_id": alert.alert_id,
        "state": alert.state,
        "rule": alert.rule,
        "kind": alert.kind,
        "subject": {"kind": alert.subject_kind, "slug": alert.slug},
        "text": content.text,
        "cause": content.why,
        "cure": content.cure,
        "code": content.code,
        "value": round(alert.value, 4),
        "threshold": alert.threshold,
        "unit": unit_of(alert.kind),
        "sample": content.sample,
        "change": content.change,
        "also": list(content.also),
        "owners": content.owners,
        "offences": list(content.offences),
        "opened_at": time_text(int(alert.opened_s * 1000)),
        "resolved_at": time_text(int(alert.resolved_s * 1000)) if alert.resolved_s else None,
        "lasted_s": round(alert.resolved_s - alert.opened_s) if alert.resolved_s else None,
        "url": link,
    }


def _content(found: Sequence[Signal], code: str, kept: Content) -> Content:
    signal, others = found[0], tuple(one.kind for one in found[1:])
    why = cause_of(signal, code) or offences_text(kept.offences)
    return replace(kept, text=describe(signal), why=why, cure=cure_of(signal, code), code=code, also=others)


def _next_word(alert: Alert, now_s: float) -> str:
    """What is told next of an alert that goes on."""
    if alert.is_muted(now_s):
        return ""
    return "reminded" if alert.told else "fired"
