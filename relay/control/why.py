"""Why did this event arrive, or not? One event's whole way: what the stages decide, and what really happened.

The decisions are recomputed from the stored event and a workspace version; attempts come from the journal, what waits or died from the
rows, refused messages and duplicates from a table of their own. Serves the event page, `relay why` and the console alike.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from relay.base.clock import Clock
from relay.base.codes import Door, advice_of, meaning_of
from relay.base.event import DELETED, Event
from relay.base.masking import mask, mask_at, mask_text
from relay.control.operate import detail_of, find_destination, state_of
from relay.errors import RequestError
from relay.kit.shown import shown
from relay.outbox.interface import DEAD, PARKED, RETRY, Attempt, Claim, Cursor, Outbox, RefusedMessage, Row
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import Compiled, CompiledDestination, CompiledSource, Current
from relay.pipeline.decision import Drop, Sourced
from relay.pipeline.explain import Explanation, Planned, Trace, explain_destination, explain_source
from relay.pipeline.lint import compile_lint
from relay.pipeline.stages.normalize import parse_time
from relay.workspace.rules import PrivacyRules
from relay.workspace.templates import known_rules

HELD: Final = "held"
SKIPPED: Final = "skipped"
SENDING: Final = "sending"
VIOLATIONS_MAX: Final = 50
_WORST_FIRST: Final = (RETRY, PARKED, DEAD)
_WAITS: Final = frozenset(("pending", RETRY, PARKED))
_NO_ADVICE: Final = frozenset(("delivered", "blocked", SKIPPED))
"""What is blocked has its advice at the top of the story, once for all destinations."""
_VERDICTS: Final = frozenset(("duplicate", "suppressed"))

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of one event at one destination, as far as it is on disk."""

    cursor: Cursor | None
    attempts: tuple[tuple[str, Attempt], ...]
    """(job, attempt), oldest first; job empty: live."""
    rows: tuple[tuple[str, Row], ...]
    aloft: bool = False
    """In memory only: an attempt is on its way."""


class Why:
    """Tells stories. `mask_names`: keys whose values never leave the server; `aloft`: the events that are being sent, seqs by destination slug."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        current: Current,
        clock: Clock,
        mask_names: tuple[str, ...] = (),
        aloft: Callable[[], Mapping[str, set[int]]] = dict,
    ) -> None:
        self._outbox, self._current, self._clock, self._mask_names, self._aloft = outbox, current, clock, mask_names, aloft
        self._lint = compile_lint(known_rules())

    async def by_message(self, message_id: str, source: str = "") -> list[Told]:
        """Every event, refusal and duplicate with this messageId, oldest first; `source`: the slug of one source."""
        compiled, stories = self._current.compiled, []
        sources = [one.source.source_id for one in compiled.sources.values() if source in ("", one.source.slug)]
        found: dict[int, Claim] = {}
        for source_id in sources:
            found |= {claim.seq: claim for claim in await self._outbox.history.find(message_id, source_id)}
        for _, claim in sorted(found.items()):
            stories.append(await self._stored(claim, compiled))
        refused = await self._outbox.history.refused(message_id=message_id)
        return stories + [self._refused(one, compiled) for one in refused if one.source_id in sources]

    async def by_id(self, event_id: str) -> Told | None:
        """The story of `e<seq>` or `r<id>`; None when nothing of that name is kept."""
        kind, number = event_id[:1], event_id[1:]
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            return None
        if kind == "e":
            claim = await self._outbox.history.at(int(number))
            return await self._stored(claim, self._current.compiled) if claim else None
        if kind == "r":
            refused = await self._outbox.history.refused(refused_id=int(number))
            return self._refused(refused[0], self._current.compiled) if refused else None
        return None

    async def rehearse(self, event_id: str, slug: str) -> Told:
        """What a destination would get for a stored event now: `{stages, planned}`. Raises RequestError 404."""
        claim = await self._outbox.history.at(int(event_id[1:])) if event_id[:1] == "e" and event_id[1:].isdigit() else None
        if claim is None or claim.event.type == DELETED:
            raise RequestError(404, "not_found", "No stored event has this id.")
        compiled = self._current.compiled
        destination = compiled.destinations[find_destination(self._current, slug).destination_id]
        sourced, traces = explain_source(claim.seq, claim.event, compiled.sources.get(claim.event.source_id))
        told = explain_destination(sourced, destination, sent_s=self._clock.now())
        return {"stages": [self._stage(trace) for trace in (*traces, *told.traces)], "planned": self._planned(told.planned, destination)}

    async def _stored(self, claim: Claim, compiled: Compiled) -> Told:
        event = claim.event
        # Cursors first: what they have passed by now is in the timeline and the rows that are read after them.
        cursors = {name: await self._outbox.cursor(name) for name in compiled.destinations}
        timeline = await self._outbox.history.timeline(claim.seq)
        rows = await self._outbox.history.rows(claim.seq)
        aloft = {slug for slug, seqs in self._aloft().items() if claim.seq in seqs}
        sourced, traces = explain_source(claim.seq, event, compiled.sources.get(event.source_id))
        drop = sourced.drop
        is_blocked = drop is not None and drop.door is Door.BLOCKED
        return {
            **self._head(event, compiled),
            "event_id": f"e{claim.seq}",
            "seq": claim.seq,
            "verdict": "blocked" if is_blocked else "accepted",
            "code": drop.code if drop else "",
            "meaning": meaning_of(drop.code) if drop else "",
            "why": _stopped("blocked", drop.code, traces[-1].text) if is_blocked and drop else "",
            "advice": advice_of(drop.code, drop.stage) if drop else "",
            "plan": source.source.plan if (source := compiled.sources.get(event.source_id)) else "",
            "violations": [{"type": one.type, "field": one.field, "description": one.description} for one in sourced.violations[:VIOLATIONS_MAX]],
            "is_unplanned": sourced.is_unplanned,
            "stages": [*_arrival(event, compiled.sources.get(event.source_id)), *(self._stage(trace) for trace in traces)],
            "destinations": [
                self._destination(claim, sourced, one, _happened(name, cursors[name], timeline, rows, one.destination.slug in aloft))
                for name, one in compiled.destinations.items()
            ],
        }

    def _refused(self, refused: RefusedMessage, compiled: Compiled) -> Told:
        verdict = refused.code if refused.code in _VERDICTS else "rejected"
        event = Event(
            refused.message_id, refused.source_id, refused.type, refused.name, refused.user_id, refused.anonymous_id,
            refused.received_ms, refused.payload, refused.body,
        )  # fmt: skip
        meaning = meaning_of(refused.code)
        return {
            **self._head(event, compiled),
            **({"payload": None} if verdict == "suppressed" else {}),
            "event_id": f"r{refused.refused_id}",
            "seq": None,
            "verdict": verdict,
            "code": refused.code,
            "meaning": meaning,
            "why": _stopped(verdict, refused.code),
            "stages": [_received(event), _told("ingest", "dropped", refused.code, meaning)],
            "destinations": [],
            "original_event_id": f"e{refused.seq}" if refused.seq else None,
            "advice": advice_of(refused.code),
        }

    def _head(self, event: Event, compiled: Compiled) -> Told:
        """What a story begins with, whatever became of the message."""
        source = compiled.sources.get(event.source_id)
        context = event.payload.get("context")
        context = context if isinstance(context, Mapping) else {}
        library = context.get("library")
        library = library if isinstance(library, Mapping) else {}
        return {
            "message_id": event.message_id,
            "source": {"slug": source.source.slug, "name": source.source.name} if source else {"slug": event.source_id, "name": event.source_id},
            "type": event.type,
            "name": event.name,
            "user_id": event.user_id,
            "anonymous_id": event.anonymous_id,
            "received_ms": event.received_ms,
            "sent_from": {
                "ip": _text(context.get("ip")),
                "library": " ".join(filter(None, (_text(library.get("name")), _text(library.get("version"))))),
                "user_agent": _text(context.get("userAgent")),
            },
            "bytes": len(event.body),
            "payload": mask(event.payload, self._mask_names),
            "original_event_id": None,
            "why": "",
            "advice": "",
            "hints": [asdict(hint) for hint in self._lint(event)],
        }

    def _destination(self, claim: Claim, sourced: Sourced, compiled: CompiledDestination, happened: Happened) -> Told:
        destination = compiled.destination
        explained = explain_destination(sourced, compiled, sent_s=self._clock.now())
        state, code = _state(claim, compiled, happened, explained.drop)
        kept = state_of(destination.enabled, happened.cursor)
        if state in _WAITS and happened.aloft:
            state, code = SENDING, ""
        elif state in _WAITS and kept["state"] in (HELD, "breaker_open"):
            state, code = HELD, str(kept["hold_code"] or "breaker_open")
        connected = state != SKIPPED
        due = [row.due_s for _, row in happened.rows if row.state == RETRY and row.due_s]
        return {
            "slug": destination.slug,
            "name": destination.name,
            "type": destination.type,
            "state": state,
            "code": code,
            "meaning": meaning_of(code) if code else "",
            "why": _why(state, code, happened, explained),
            "advice": advice_of(code, explained.drop.stage if explained.drop else "") if state not in _NO_ADVICE else "",
            "next_s": min(due, default=None) if state == RETRY else None,
            "stages": [self._stage(trace) for trace in explained.traces] if connected else [],
            "planned": self._planned(explained.planned, compiled) if connected else [],
            "attempts": [{"job": job, **attempt._asdict()} for job, attempt in happened.attempts],
            "rows": [{"job": job, **self._row(row, destination.retry.give_up_after_s)} for job, row in happened.rows],
        }

    def _row(self, row: Row, give_up_after_s: float) -> Told:
        return {
            "subscription_id": row.subscription_id,
            "state": row.state,
            "attempts": row.attempts,
            "code": row.code,
            "status": row.status,
            "due_s": row.due_s,
            "changed_s": row.changed_s,
            "until_s": row.first_s + give_up_after_s if row.state == RETRY and row.first_s else None,
            "detail": self._detail(row),
        }

    def _stage(self, trace: Trace) -> Told:
        changes = [
            {"path": one.path, "before": mask_at(one.path, one.before, self._mask_names), "after": mask_at(one.path, one.after, self._mask_names)}
            for one in trace.changes
        ]
        return _told(trace.stage, trace.outcome, trace.code, trace.text or (meaning_of(trace.code) if trace.code else "")) | {"changes": changes}

    def _planned(self, planned: Iterable[Planned], destination: CompiledDestination) -> list[Told]:
        told: list[Told] = []
        for plan in planned:
            head = {"subscription": plan.subscription_id, "action": plan.action, "problem": plan.problem, "code": plan.code}
            requests = [self._cloaked(shown(request, destination.destination.settings)) for request in plan.requests]
            told += [head | request for request in requests] or [head]
        return told

    def _cloaked(self, exchange: Told) -> Told:
        """A request or an answer with its body's secret keys masked."""
        return exchange | {"body": mask_text(exchange["body"], self._mask_names)} if isinstance(exchange.get("body"), str) else exchange

    def _detail(self, row: Row) -> Any:
        detail = detail_of(row)
        if not isinstance(detail, dict):
            return detail
        return {key: self._cloaked(part) if isinstance(part, dict) else part for key, part in detail.items()}


def _arrival(event: Event, source: CompiledSource | None) -> list[Told]:
    """The stages before the commit, as far as the stored event tells of them."""
    if event.type == DELETED:
        return [_told("received", "passed", "", "erased by a deletion request")]
    payload = event.payload
    before, after = payload.get("originalTimestamp"), payload.get("timestamp")
    changes = [{"path": "timestamp", "before": before, "after": after}] if before and before != after else []
    text = f"clock skew {_skew_s(payload):+.1f} s corrected" if changes and payload.get("sentAt") else ""
    return [
        _received(event),
        _told("validated", "passed"),
        _told("normalized", "changed" if changes else "passed", "", text) | {"changes": changes},
        *([_told("privacy", "passed", "", _privacy(source.source.privacy))] if source and source.source.privacy else []),
        _told("stored", "passed", "", "in the log before the answer"),
    ]


def _received(event: Event) -> Told:
    context = event.payload.get("context")
    ip = _text(context.get("ip")) if isinstance(context, Mapping) else ""
    return _told("received", "passed", "", ", ".join(filter(None, (ip, f"{len(event.body)} B" if event.body else "")))) | {"at_ms": event.received_ms}


def _privacy(rules: PrivacyRules) -> str:
    """The source's rules as they are now: what they took away is nowhere, so it cannot be shown."""
    said = [f"{how} {', '.join(entry for kind, entry in rules.entries if kind == how)}" for how in dict.fromkeys(kind for kind, _ in rules.entries)]
    return f"before it was stored: {'; '.join(said)}"


def _skew_s(payload: Mapping[str, Any]) -> float:
    """How far the device's clock was behind ours."""
    sent, _ = parse_time(payload.get("sentAt"))
    received, _ = parse_time(payload.get("receivedAt"))
    return 0.0 if sent is None or received is None else (received - sent) / 1e6


def _told(stage: str, outcome: str, code: str = "", text: str = "") -> Told:
    return {"stage": stage, "outcome": outcome, "code": code, "meaning": meaning_of(code) if code else "", "text": text, "at_ms": None, "changes": []}


def _happened(name: str, cursor: Cursor | None, timeline: list[tuple[str, Attempt]], rows: list[tuple[str, Row]], aloft: bool) -> Happened:
    attempts = tuple((_job(consumer), attempt) for consumer, attempt in timeline if destination_of(consumer) == name)
    return Happened(cursor, attempts, tuple((_job(consumer), row) for consumer, row in rows if destination_of(consumer) == name), aloft)


def _job(consumer: str) -> str:
    return consumer if "#" in consumer else ""


def _state(claim: Claim, compiled: CompiledDestination, happened: Happened, drop: Drop | None) -> tuple[str, str]:
    """State and code of the entry; `skipped`: the destination has nothing to do with it."""
    if happened.rows:
        row = min((row for _, row in happened.rows), key=lambda row: _WORST_FIRST.index(row.state))
        return row.state, row.code
    cursor, attempts = happened.cursor, happened.attempts
    if not attempts and (claim.event.source_id not in compiled.source_ids or (cursor is not None and claim.seq <= cursor.start)):
        return SKIPPED, ""
    if cursor is None or not cursor.is_done(claim.seq):
        return ("pending", "") if not attempts else (RETRY, attempts[-1][1].code)
    if attempts:
        last = _last_of_each(attempts)
        worst = next((one for one in last if one.result == DEAD), None) or last[-1]
        return ("expired", "expired") if worst.result in (RETRY, "hold") else (worst.result, worst.code)
    return (drop.door.value, drop.code) if drop else ("expired", "expired")


def _last_of_each(attempts: Iterable[tuple[str, Attempt]]) -> list[Attempt]:
    """The newest attempt of every subscription."""
    newest: dict[str, Attempt] = {}
    for _, attempt in attempts:
        newest.pop(attempt.subscription_id, None)
        newest[attempt.subscription_id] = attempt
    return list(newest.values())


def _why(state: str, code: str, happened: Happened, explained: Explanation) -> str:
    """One sentence that answers the question."""
    attempts, meaning = len(happened.attempts), meaning_of(code) if code else ""
    last = happened.attempts[-1][1] if happened.attempts else None
    said = f"HTTP {last.status}" if last and last.status else code
    if state == "delivered" and last:
        return f"Delivered on attempt {last.attempt}: {said} in {last.duration_ms:.0f} ms."
    if state == SKIPPED:
        return "Not connected to this source when the event came."
    if state == "pending":
        return "In the log; the destination has not come to it yet."
    if state == SENDING:
        return f"Attempt {attempts + 1} is on its way."
    if state == RETRY:
        return f"Attempt {attempts or 1} failed with {said}{f': {meaning}' if meaning else ''}; relay tries again."
    if state == PARKED:
        return "Waits behind an earlier event of the same user, so that their order holds."
    if state == HELD:
        return f"The destination is held ({code}): {meaning or 'nothing is sent'}. The event waits."
    if state == DEAD:
        how = "after {} attempt{}".format(attempts, "" if attempts == 1 else "s") if attempts else "before any attempt"
        return f"Given up {how}: {said}{f': {meaning}' if meaning else ''}."
    problem = next((plan.problem for plan in explained.planned if plan.problem), "")
    problem = problem or (explained.traces[-1].text if explained.drop else "")
    return _stopped(state, code, problem)


def _stopped(how: str, code: str, text: str = "") -> str:
    """How a way ended, with the code where it says more than the word, and why; `text` says it better than the code's meaning."""
    text = text or meaning_of(code)
    return f"{how.capitalize()}{f' ({code})' if code not in ('', how) else ''}{f': {text}' if text else ''}."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
