"""One event's story: where it lies, and for each destination the attempts, what waits, and the state so far.

Reads the journal and the rows; what a rule decided (which filter, which mapping) is not stored and not told here.
"""

from typing import Any

from relay.control.operate import detail_of
from relay.outbox.interface import DEAD, PARKED, RETRY, Attempt, Claim, Cursor, Outbox, Row
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import Compiled, CompiledDestination, Current

_WORST_FIRST = (RETRY, PARKED, DEAD)


class Stories:
    """Tells what is known of an event."""

    def __init__(self, *, outbox: Outbox, current: Current) -> None:
        self._outbox = outbox
        self._current = current

    async def tell(self, message_id: str, source: str = "") -> list[dict[str, Any]]:
        """The stored events with this messageId: one per source that used it."""
        compiled = self._current.compiled
        found: dict[int, Claim] = {}
        for one in compiled.workspace.sources:
            if source in ("", one.slug):
                found |= {claim.seq: claim for claim in await self._outbox.history.find(message_id, one.source_id)}
        return [await self._story(claim, compiled) for _, claim in sorted(found.items())]

    async def _story(self, claim: Claim, compiled: Compiled) -> dict[str, Any]:
        event = claim.event
        source = compiled.sources.get(event.source_id)
        # Cursors first: what they have passed by now is in the timeline and the rows that are read after them.
        cursors = {name: await self._outbox.cursor(name) for name in compiled.destinations}
        timeline = await self._outbox.history.timeline(claim.seq)
        rows = await self._outbox.history.rows(claim.seq)
        return {
            "seq": claim.seq,
            "source": source.source.slug if source else event.source_id,
            "type": event.type,
            "name": event.name,
            "received_ms": event.received_ms,
            "payload": event.payload,
            "destinations": [_destination(claim, one, cursors[name], timeline, rows) for name, one in compiled.destinations.items()],
        }


def _destination(
    claim: Claim,
    compiled: CompiledDestination,
    cursor: Cursor | None,
    timeline: list[tuple[str, Attempt]],
    rows: list[tuple[str, Row]],
) -> dict[str, Any]:
    destination = compiled.destination
    own_attempts = [(name, attempt) for name, attempt in timeline if destination_of(name) == destination.destination_id]
    own_rows = [(name, row) for name, row in rows if destination_of(name) == destination.destination_id]
    return {
        "slug": destination.slug,
        "type": destination.type,
        "state": _state(claim, compiled, cursor, [one for _, one in own_attempts], [row for _, row in own_rows]),
        "attempts": [{"job": name if "#" in name else "", **attempt._asdict()} for name, attempt in own_attempts],
        "rows": [{"job": name if "#" in name else "", **_row(row)} for name, row in own_rows],
    }


def _state(claim: Claim, compiled: CompiledDestination, cursor: Cursor | None, attempts: list[Attempt], rows: list[Row]) -> str:
    """`skipped`: not connected; `pending`: not looked at yet; `settled`: left without an attempt (a rule filtered it)."""
    if rows:
        return next(state for state in _WORST_FIRST if any(row.state == state for row in rows))
    if claim.event.source_id not in compiled.source_ids and not attempts:
        return "skipped"
    if cursor is None or not cursor.is_done(claim.seq):
        return "pending"
    if claim.seq <= cursor.start and not attempts:
        return "skipped"
    return attempts[-1].result if attempts else "settled"


def _row(row: Row) -> dict[str, Any]:
    return {
        "subscription_id": row.subscription_id,
        "state": row.state,
        "attempts": row.attempts,
        "code": row.code,
        "status": row.status,
        "due_s": row.due_s,
        "changed_s": row.changed_s,
        "detail": detail_of(row),
    }
