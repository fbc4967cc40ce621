"""Alerts for people: what fires and what was, who carries it, what the rules would have done; mute, and send a test."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.alerts.rules import COUNTED, count_firings
from relay.alerts.series import Series
from relay.alerts.store import Alert, AlertStore, Mute
from relay.alerts.telling import unit_of
from relay.alerts.watch import Watch
from relay.base.clock import Clock
from relay.base.codes import Door
from relay.base.ids import new_message_id
from relay.control.operate import Audit
from relay.errors import RequestError
from relay.outbox.interface import Cursor, Outbox
from relay.pipeline.compiled import Current
from relay.pipeline.derived import FIRED, alert_event
from relay.pipeline.stages.normalize import time_text
from relay.workspace.alert_rules import KINDS, effective_rules
from relay.workspace.model import BUILT_IN_SOURCE, AlertRule, Destination

HISTORY: Final = 100
TOLD_OF: Final = 20
"""For so many of the newest alerts the state at each carrier is looked up."""
BACKTEST_DAYS: Final = 7
BACKTEST_KEPT_S: Final = 600.0
SLICE_M: Final = 360
JOURNAL_S: Final = 86_400.0
"""An event that is older, and of which no attempt is known, may have had one: the journal is not kept for ever."""
FINAL: Final = frozenset((Door.DELIVERED.value, Door.FILTERED.value))
MUTE_MAX_H: Final = 24.0 * 365


class Alerting:
    """`link` is the address of the alerts page; `enabled`: whether anything is watched."""

    def __init__(
        self,
        *,
        watch: Watch,
        store: AlertStore,
        outbox: Outbox,
        current: Current,
        access: Audit,
        clock: Clock,
        link: Callable[[], str],
        enabled: bool,
    ) -> None:
        self._watch = watch
        self._store = store
        self._outbox = outbox
        self._current = current
        self._access = access
        self._clock = clock
        self._link = link
        self._enabled = enabled
        self._tested: tuple[float, tuple[AlertRule, ...], dict[str, int]] | None = None
        self._testing = asyncio.Lock()
        self._delivered: dict[tuple[int, int, tuple[str, ...]], list[dict[str, str]]] = {}
        """Deliveries that are over: by alert, event and carriers."""

    async def view(self) -> dict[str, Any]:
        """`{enabled, firing, history, rules, carriers}`; firing and history newest first."""
        now_s, carriers = self._clock.now(), self._carriers()
        history = await self._store.history(HISTORY)
        firing = sorted(self._watch.alerts.values(), key=lambda alert: -alert.alert_id)
        # Cursors first: what they have passed by now is in the rows and the timeline that are read after them.
        cursors = {one.slug: await self._outbox.cursor(one.destination_id) for one in carriers}
        told = {alert.alert_id: await self._deliveries(alert, carriers, cursors, now_s) for alert in [*firing, *history][:TOLD_OF]}
        rules = effective_rules(self._current.compiled.workspace.alert_rules)
        tested = await self._backtest(rules)
        fired = await self._store.counts(now_s - BACKTEST_DAYS * 86_400)
        return {
            "enabled": self._enabled,
            "firing": [shown(alert, told.get(alert.alert_id, [])) for alert in firing],
            "history": [shown(alert, told.get(alert.alert_id, [])) for alert in history],
            "rules": [self._rule(rule, firing, tested, fired, now_s) for rule in rules],
            "carriers": [{"slug": one.slug, "type": one.type, "state": _state(cursors[one.slug])} for one in carriers],
        }

    async def mute(self, alert_id: int, hours: float, by: Operator) -> dict[str, Any]:
        """Tell nothing about the cause of an alert for so long; 0 ends a mute. Raises RequestError 404, 400."""
        if hours > MUTE_MAX_H:
            raise RequestError(400, "bad_request", f"hours must be at most {MUTE_MAX_H:.0f}.")
        alert = await self._store.get(alert_id)
        if alert is None:
            raise RequestError(404, "not_found", f"There is no alert {alert_id}.")
        now_s = self._clock.now()
        mute = Mute(now_s + hours * 3600, by.name)
        await self._store.mute(alert.cause, mute)
        self._watch.mute(alert.cause, mute)
        await self._access.audit(AuditRecord(now_s, by.name, "alert.mute", alert.cause, f"{hours:g} hours"))
        return {"muted_until_s": mute.until_s, "muted_by": mute.by}

    async def test(self, slug: str, by: Operator) -> dict[str, Any]:
        """Send a test alert, to one destination or to all that carry alerts. Raises RequestError 404, 409."""
        carriers = self._carriers()
        if slug and slug not in [one.slug for one in self._current.compiled.workspace.destinations]:
            raise RequestError(404, "not_found", f'There is no destination "{slug}".')
        if slug and slug not in [one.slug for one in carriers]:
            raise RequestError(409, "no_carrier", f'Destination "{slug}" does not carry alerts: name "relay" in its sources.')
        if not carriers:
            raise RequestError(409, "no_carrier", 'No destination carries alerts: name "relay" in the sources of one.')
        now_s = self._clock.now()
        event = alert_event(FIRED, self._test_properties(now_s, by), message_id=new_message_id(), at_ms=int(now_s * 1000), only=slug)
        (appended,) = await self._outbox.append([event], internal=True)
        await self._access.audit(AuditRecord(now_s, by.name, "alert.test", slug or "*"))
        to = [slug] if slug else [one.slug for one in carriers]
        return {"event_id": f"e{appended.seq}", "message_id": event.message_id, "destinations": to}

    def _test_properties(self, now_s: float, by: Operator) -> dict[str, Any]:
        return {
            "alert_id": 0,
            "test": True,
            "state": "firing",
            "rule": "test",
            "kind": "test",
            "subject": {"kind": "relay", "slug": BUILT_IN_SOURCE},
            "text": f"This is a test alert, sent by {by.name}.",
            "cause": "",
            "cure": "Nothing to do: alerts of relay arrive here.",
            "opened_at": time_text(int(now_s * 1000)),
            "url": self._link(),
        }

    def _carriers(self) -> list[Destination]:
        found = (one.destination for one in self._current.compiled.destinations.values())
        return [one for one in found if one.enabled and BUILT_IN_SOURCE in one.source_ids]

    async def _deliveries(
        self, alert: Alert, carriers: Sequence[Destination], cursors: Mapping[str, Cursor | None], now_s: float
    ) -> list[dict[str, str]]:
        """What became of the newest event of an alert at each destination that carries alerts now, as far as the journal still knows."""
        key = (alert.alert_id, alert.seq, tuple(cursors))
        if not alert.seq or key in self._delivered:
            return self._delivered.get(key, [])
        rows = {name: row.state for name, row in await self._outbox.history.rows(alert.seq)}
        results = {name: attempt.result for name, attempt in await self._outbox.history.timeline(alert.seq)}
        is_old = now_s - (alert.resolved_s or alert.reminded_s or alert.opened_s) > JOURNAL_S
        told = []
        for one in carriers:
            cursor, name = cursors[one.slug], one.destination_id
            waits = cursor is None or not cursor.is_done(alert.seq)
            state = rows.get(name) or ("pending" if waits else results.get(name, "" if is_old else Door.FILTERED.value))
            if state:
                told.append({"destination": one.slug, "state": state})
        if all(one["state"] in FINAL for one in told):
            self._delivered[key] = told
            while len(self._delivered) > HISTORY:
                self._delivered.pop(next(iter(self._delivered)))
        return told

    def _rule(self, rule: AlertRule, firing: Sequence[Alert], tested: dict[str, int], fired: dict[str, int], now_s: float) -> dict[str, Any]:
        mine = [alert for alert in firing if alert.rule == rule.name]
        counted = rule.kind in COUNTED
        return {
            "name": rule.name,
            "kind": rule.kind,
            "help": KINDS[rule.kind].help,
            "subject": rule.subject,
            "subject_kind": KINDS[rule.kind].subject,
            "threshold": rule.threshold,
            "unit": unit_of(rule.kind),
            "window_m": rule.window_m,
            "min_events": rule.min_events,
            "enabled": rule.enabled,
            "muted_until_s": max((alert.muted_until_s or 0 for alert in mine if alert.is_muted(now_s)), default=None),
            "firing": bool(mine),
            "backtest": {
                "days": BACKTEST_DAYS,
                "count": tested.get(rule.name, 0) if counted else fired.get(rule.name, 0),
                "basis": "counts" if counted else "history",
            },
        }

    async def _backtest(self, rules: tuple[AlertRule, ...]) -> dict[str, int]:
        """How often each rule over counts would have fired in the last days, by its name; reckoned anew when the rules change, or are old."""
        async with self._testing:
            now_s = self._clock.now()
            if self._tested and self._tested[1] == rules and now_s - self._tested[0] < BACKTEST_KEPT_S:
                return self._tested[2]
            minute = int(now_s // 60)
            since = minute - BACKTEST_DAYS * 1440
            series = Series()
            for first in range(since - 2 * 1440, minute + 1, SLICE_M):
                tally = await self._outbox.history.tallies(first, min(first + SLICE_M, minute + 1))
                await asyncio.to_thread(series.refresh, first, tally)
            workspace = self._current.compiled.workspace
            ids = {
                "destination": [(one.destination_id, one.slug) for one in workspace.destinations if one.enabled],
                "source": [(one.source_id, one.slug) for one in workspace.sources if one.enabled],
            }

            def reckon() -> dict[str, int]:
                counts = {}
                for rule in rules:
                    if rule.kind in COUNTED:
                        subjects = [one_id for one_id, slug in ids[KINDS[rule.kind].subject] if rule.subject in ("", slug)]
                        counts[rule.name] = count_firings(rule, series, subjects, since, minute)
                return counts

            self._tested = (now_s, rules, await asyncio.to_thread(reckon))
            return self._tested[2]


def _state(cursor: Cursor | None) -> str:
    state = cursor.state if cursor else {}
    if state.get("hold"):
        return "held"
    return "running" if (state.get("breaker") or {}).get("state", "closed") == "closed" else "breaker_open"


def shown(alert: Alert, deliveries: list[dict[str, str]]) -> dict[str, Any]:
    """An alert as the console tells it."""
    content = alert.content
    return {
        "id": alert.alert_id,
        "rule": alert.rule,
        "kind": alert.kind,
        "subject": {"kind": alert.subject_kind, "slug": alert.slug},
        "state": alert.state,
        "value": alert.value,
        "threshold": alert.threshold,
        "unit": unit_of(alert.kind),
        "opened_s": alert.opened_s,
        "resolved_s": alert.resolved_s,
        "reminded_s": alert.reminded_s,
        "muted_until_s": alert.muted_until_s,
        "muted_by": alert.muted_by,
        "text": content.text,
        "cause": content.why,
        "code": content.code,
        "cure": content.cure,
        "sample": content.sample,
        "change": content.change,
        "also": list(content.also),
        "deliveries": deliveries,
    }
