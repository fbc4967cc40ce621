"""Hold, resume, re-send, discard, and how every destination is doing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.base import jsonio
from relay.base.clock import Clock
from relay.base.event import Event
from relay.control.condition import compile_condition
from relay.errors import RequestError
from relay.kit.fql import Test
from relay.observe.facts import DestinationHeld, DestinationReleased
from relay.observe.metrics import DestinationFigures
from relay.observe.observer import Observer
from relay.outbox.interface import ROUTER, Cursor, Outbox, Row, Sample, Selection
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import Current
from relay.workspace.model import Destination

State = dict[str, Any]
DeadLetter = dict[str, Any]
PAGE = 200
"""Dead letters that are read at a time."""


class Audit(Protocol):
    """Where orders are kept."""

    async def audit(self, record: AuditRecord) -> None: ...


class Operations:
    """Orders of a person. `refresh` is the supervisor's: it starts the streams of replays that have open rows again.

    A `condition` (FQL, empty: none) narrows a selection of dead letters to those whose event it takes; a letter whose event is gone is
    not taken. Raises RequestError 400 when it cannot be read.
    """

    def __init__(
        self, *, outbox: Outbox, current: Current, access: Audit, clock: Clock, observer: Observer, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._outbox = outbox
        self._current = current
        self._access = access
        self._clock = clock
        self._observer = observer
        self._refresh = refresh

    async def hold(self, slug: str, by: Operator) -> None:
        """Stop deliveries; entries wait until a person resumes."""
        hold = {"by": "user", "code": "user", "since_s": self._clock.now(), "status": None, "sample": ""}
        await self._set_state(slug, lambda state: state | {"hold": hold})
        self._observer.emit(DestinationHeld(slug, by.name, "user"))
        await self._audit(by, "destination.hold", slug)

    async def resume(self, slug: str, by: Operator) -> None:
        """Go on, whoever stopped it: the hold ends and the breaker is closed."""
        closed = {"state": "closed", "since_s": self._clock.now(), "failures": 0, "probes": 0, "next_s": 0.0}
        await self._set_state(slug, lambda state: {key: value for key, value in state.items() if key != "hold"} | {"breaker": closed})
        self._observer.emit(DestinationReleased(slug, by.name))
        await self._audit(by, "destination.resume", slug)

    async def dead(self, to: str, which: Selection, limit: int, condition: str = "") -> list[DeadLetter]:
        """Dead letters, oldest first within a destination. `to` empty: of all destinations."""
        takes = compile_condition(condition)
        letters: list[DeadLetter] = []
        for name in await self._consumers(to):
            if len(letters) >= limit:
                break
            found = await self._found(name, which, limit - len(letters), takes)
            letters += [self._told(name, row, event) for row, event in found]
        return letters

    async def every_dead(self, to: str, which: Selection, condition: str = "") -> AsyncIterator[tuple[DeadLetter, Event | None]]:
        """All dead letters that match, in pages, each with its event (None: it is gone)."""
        takes = compile_condition(condition)
        for name in await self._consumers(to):
            async for page in self._pages(name, which, takes):
                for row, event in page:
                    yield self._told(name, row, event), event

    async def count_dead(self, to: str, which: Selection, condition: str = "") -> int:
        """How many dead letters a selection takes."""
        takes, names = compile_condition(condition), await self._consumers(to)
        if takes is None:
            return sum([await self._outbox.history.count_dead(name, which) for name in names])
        return sum([len(page) for name in names async for page in self._pages(name, which, takes)])

    async def resend(self, to: str, which: Selection, by: Operator, condition: str = "") -> int:
        """Open dead letters again; returns how many."""
        takes, names = compile_condition(condition), await self._consumers(to)
        count = sum([await self._outbox.resend(name, part) for name in names async for part in self._parts(name, which, takes)])
        if any("#" in name for name in names):
            await self._refresh()
        await self._audit(by, "dead.resend", to or "*", f"{count} entries")
        return count

    async def discard(self, to: str, which: Selection, by: Operator, condition: str = "") -> int:
        """Throw dead letters away; returns how many."""
        takes, names = compile_condition(condition), await self._consumers(to)
        count = sum([await self._outbox.discard(name, part) for name in names async for part in self._parts(name, which, takes)])
        await self._audit(by, "dead.discard", to or "*", f"{count} entries")
        return count

    async def _found(self, name: str, which: Selection, limit: int, takes: Test | None) -> list[tuple[Row, Event | None]]:
        """The first `limit` dead letters."""
        if takes is None:
            return await self._outbox.history.dead(name, which, limit=limit)
        found: list[tuple[Row, Event | None]] = []
        async for page in self._pages(name, which, takes):
            found += page
            if len(found) >= limit:
                break
        return found[:limit]

    async def _parts(self, name: str, which: Selection, takes: Test | None) -> AsyncIterator[Selection]:
        """A selection as the outbox can carry it out: with a condition, page by page, by the seqs that it takes."""
        if takes is None:
            yield which
            return
        async for page in self._pages(name, which, takes):
            if page:
                yield replace(which, seqs=tuple({row.seq: None for row, _ in page}))

    async def _pages(self, name: str, which: Selection, takes: Test | None) -> AsyncIterator[list[tuple[Row, Event | None]]]:
        """Dead letters in pages, all letters of an event on one page; a page may be empty."""
        after, more = 0, True
        while more:
            found = await self._outbox.history.dead(name, which, after_seq=after, limit=PAGE)
            more = len(found) == PAGE
            last = found[-1][0].seq if found else 0
            if more and found[0][0].seq != last:  # the rest of the last event's letters may be on the next page
                found = [one for one in found if one[0].seq != last]
                last = found[-1][0].seq
            yield found if takes is None else [one for one in found if one[1] is not None and takes(one[1])]
            after = last

    async def retry_now(self, slug: str, seq: int, by: Operator) -> int:
        """One event at one destination again, at once: its dead letters are re-sent, its retries become due. Returns how many."""
        names, which = await self._consumers(slug), Selection(seqs=(seq,))
        count = sum([await self._outbox.resend(name, which) + await self._outbox.hasten(name, [seq]) for name in names])
        if any("#" in name for name in names):
            await self._refresh()
        await self._audit(by, "event.retry", slug, f"e{seq}: {count} entries")
        return count

    async def give_up(self, slug: str, seq: int, by: Operator) -> int:
        """One event at one destination is given up: what waits leaves as discarded, dead letters go. Returns how many."""
        names, which = await self._consumers(slug), Selection(seqs=(seq,))
        count = sum([await self._outbox.discard(name, which) + await self._outbox.abandon(name, [seq]) for name in names])
        await self._audit(by, "event.discard", slug, f"e{seq}: {count} entries")
        return count

    async def destinations_overview(self) -> list[dict[str, Any]]:
        """Every configured destination: its state and its books."""
        return [await self.destination_overview(one.destination) for one in self._current.compiled.destinations.values()]

    async def figures(self) -> tuple[DestinationFigures, ...]:
        """The same for the metrics."""
        now_s = self._clock.now()
        return tuple(
            DestinationFigures(
                one["slug"], one["state"], "held" if one["held_by"] else one["breaker"], one["accepted"], one["pending"], one["retry"], one["parked"], one["dead"],
                max(0.0, now_s - one["oldest_s"]) if one["oldest_s"] else 0.0,
            )
            for one in await self.destinations_overview()
        )  # fmt: skip

    async def destination_overview(self, destination: Destination) -> dict[str, Any]:
        """One of them."""
        cursor = await self._outbox.cursor(destination.destination_id)
        told = {"slug": destination.slug, "name": destination.name, "type": destination.type, "enabled": destination.enabled}
        told |= state_of(destination.enabled, cursor)
        if cursor is None:  # configured, not yet started
            empty = {"accepted": 0, "pending": 0, "retry": 0, "parked": 0, "dead": 0, "oldest_s": 0.0, "doors": {}, "balance_ok": True}
            return told | empty
        balance = await self._outbox.balance(cursor.name)
        depth = await self._outbox.depth(cursor.name)
        return told | {
            "accepted": balance.accepted,
            "pending": depth.pending,
            "retry": depth.retry,
            "parked": depth.parked,
            "dead": depth.dead,
            "oldest_s": depth.oldest_s,
            "doors": plain_doors(balance.doors),
            "balance_ok": balance.holds,
        }

    async def _set_state(self, slug: str, change: Callable[[State], State]) -> None:
        destination = find_destination(self._current, slug)
        try:
            await self._outbox.set_state(destination.destination_id, change)
        except KeyError as error:
            raise RequestError(409, "not_started", f'Destination "{slug}" has not been started yet.') from error

    async def _consumers(self, to: str) -> list[str]:
        names = [name for name in await self._outbox.names() if destination_of(name) != ROUTER]
        if not to:
            return names
        destination_id = find_destination(self._current, to).destination_id
        return [name for name in names if destination_of(name) == destination_id]

    def _told(self, name: str, row: Row, event: Event | None) -> DeadLetter:
        return {"destination": self._slug(name), "job": name if "#" in name else "", **_letter(row, event)}

    def _slug(self, name: str) -> str:
        known = self._current.compiled.destinations.get(destination_of(name))
        return known.destination.slug if known else destination_of(name)

    async def _audit(self, by: Operator, action: str, subject: str, detail: str = "") -> None:
        await self._access.audit(AuditRecord(self._clock.now(), by.name, action, subject, detail))


def find_destination(current: Current, slug: str) -> Destination:
    """Raises RequestError 404 when no destination has the slug."""
    for one in current.compiled.destinations.values():
        if one.destination.slug == slug:
            return one.destination
    raise RequestError(404, "not_found", f'There is no destination "{slug}".')


def state_of(enabled: bool, cursor: Cursor | None) -> dict[str, Any]:
    """What a person should know first: does it deliver, and if not, since when and why."""
    kept = cursor.state if cursor else {}
    hold, breaker = kept.get("hold") or {}, kept.get("breaker") or {}
    position = str(breaker.get("state", "closed"))
    state = "disabled" if not enabled else "held" if hold else "running" if position == "closed" else "breaker_open"
    since_s = hold.get("since_s") if hold else breaker.get("since_s") if state == "breaker_open" else None
    return {
        "state": state,
        "breaker": position,
        "held_by": hold.get("by"),
        "hold_code": hold.get("code"),
        "hold_status": hold.get("status"),
        "since": since_s,
        "sample": hold.get("sample"),
    }


def _letter(row: Row, event: Any) -> DeadLetter:
    return {
        "id": row.seq,
        "subscription_id": row.subscription_id,
        "message_id": event.message_id if event else "",
        "type": event.type if event else "",
        "name": event.name if event else "",
        "source": row.source_id,
        "code": row.code,
        "status": row.status,
        "attempts": row.attempts,
        "first_s": row.first_s,
        "changed_s": row.changed_s,
        "detail": detail_of(row),
    }


def detail_of(row: Row | Sample) -> Any:
    """The failed attempt as kept with a row or a sample: `{request, response}`, secrets masked; None: nothing was kept."""
    try:
        return jsonio.loads(row.detail) if row.detail else None
    except ValueError:
        return row.detail.decode("utf-8", "replace")


def plain_doors(doors: Mapping[str, int]) -> dict[str, int]:
    """With keys that are plain text: JSON takes no enum as a key."""
    return {str(door): count for door, count in doors.items()}
