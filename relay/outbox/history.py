"""The read side of an outbox with transactions, for people: pages and slices, so that no reader holds up another."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar

from relay.base.clock import Clock
from relay.base.event import Event
from relay.base.jsonio import dumps
from relay.observe.latency import Latency
from relay.observe.tallies import Tally
from relay.outbox import operations
from relay.outbox.interface import PAGE, Attempt, Claim, Past, RefusedMessage, Row, Sample, SampleGroup, Seen, Selection
from relay.outbox.transaction import Transaction

T = TypeVar("T")

SEARCH_ROWS = 5_000
SEARCH_S = 10.0
"""How long an event is searched for that the dedup keys no longer know."""
SEEN_PAGE = 1_000


class Readable(Protocol):
    """A store that can be read."""

    async def read(self, query: Callable[[Transaction], T]) -> T: ...


class LedgerHistory:
    """The History of a LedgerOutbox; reads only, in pages."""

    def __init__(self, store: Readable, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, message_id: str, source_id: str | None = None) -> list[Claim]:
        def query(tx: Transaction) -> list[Claim]:
            events = tx.events_at(operations.find(tx, message_id, source_id))
            return [Claim(seq, events[seq]) for seq in sorted(events)]

        return await self._store.read(query) or await self._search(message_id, source_id)

    async def _search(self, message_id: str, source_id: str | None) -> list[Claim]:
        """In the log itself, slice by slice, so that other readers get their turn."""
        needle = b'"messageId":' + dumps(message_id)
        upto, oldest = await self._store.read(lambda tx: (tx.head(), tx.oldest()))
        end_s = self._clock.monotonic() + SEARCH_S
        while oldest and upto >= oldest and self._clock.monotonic() < end_s:
            claims = await self._store.read(lambda tx, upto=upto: tx.search(needle, upto - SEARCH_ROWS, upto))  # type: ignore[misc]
            found = [one for one in claims if one.event.message_id == message_id and source_id in (None, one.event.source_id)]
            if found:
                return found
            upto -= SEARCH_ROWS
        return []

    async def at(self, seq: int) -> Claim | None:
        event = (await self._store.read(lambda tx: tx.events_at([seq]))).get(seq)
        return Claim(seq, event) if event else None

    async def events(self, seqs: Sequence[int]) -> dict[int, Event]:
        return await self._store.read(lambda tx: tx.events_at(seqs))

    async def refused(self, *, refused_id: int = 0, message_id: str = "", limit: int = 500) -> list[RefusedMessage]:
        return await self._store.read(lambda tx: tx.refused(refused_id, message_id, limit))

    async def timeline(self, seq: int) -> list[tuple[str, Attempt]]:
        return await self._store.read(lambda tx: tx.journal_of(seq))

    async def rows(self, seq: int) -> list[tuple[str, Row]]:
        return await self._store.read(lambda tx: tx.rows_of(seq))

    async def past(self, before: int, limit: int) -> Past:
        return await self._store.read(lambda tx: operations.past(tx, before, limit))

    async def attempts_before(self, line: int, limit: int) -> list[tuple[int, str, list[Attempt]]]:
        return await self._store.read(lambda tx: tx.journal_before(line, limit))

    async def waiting(self, name: str, limit: int) -> list[Row]:
        return await self._store.read(lambda tx: sorted(tx.open_rows(name), key=lambda row: -row.changed_s)[:limit])

    async def dead(self, name: str, which: Selection, *, after_seq: int = 0, limit: int = 500) -> list[tuple[Row, Event | None]]:
        def query(tx: Transaction) -> list[tuple[Row, Event | None]]:
            rows = operations.selected(tx, name, which, after_seq, limit)
            events = tx.events_at([row.seq for row in rows])
            return [(row, events.get(row.seq)) for row in rows]

        return await self._store.read(query)

    async def count_dead(self, name: str, which: Selection) -> int:
        return await self._store.read(lambda tx: len(operations.selected(tx, name, which)))

    async def scan(
        self, *, after: int = 0, until: int | None = None, since_s: float = 0.0, until_s: float = 0.0, page: int = PAGE
    ) -> AsyncIterator[list[Claim]]:
        if since_s:
            after = max(after, await self._store.read(lambda tx: tx.seq_before(int(since_s * 1000))))
        while True:
            start = after
            claims, after = await self._store.read(lambda tx, start=start: tx.events(start, page, None))  # type: ignore[misc]
            found = [claim for claim in claims if (until is None or claim.seq <= until) and (not until_s or claim.event.received_ms < until_s * 1000)]
            if found:
                yield found
            if not claims or len(found) < len(claims):
                return

    async def tallies(self, since_minute: int, until_minute: int) -> Tally:
        return await self._store.read(lambda tx: tx.tallies(since_minute, until_minute))

    async def tally_spans(self, since_minute: int, until_minute: int, step: int) -> Tally:
        return await self._store.read(lambda tx: tx.tally_spans(since_minute, until_minute, step))

    async def latency_spans(self, since_minute: int, until_minute: int, step: int) -> Latency:
        return await self._store.read(lambda tx: tx.latency_spans(since_minute, until_minute, step))

    async def samples(self, destination_id: str, code: str) -> list[Sample]:
        return await self._store.read(lambda tx: tx.samples(destination_id, code))

    async def sample_groups(self, destination_id: str) -> list[SampleGroup]:
        return await self._store.read(lambda tx: tx.sample_groups(destination_id))

    async def waiting_codes(self, name: str) -> dict[str, int]:
        return await self._store.read(lambda tx: tx.waiting_codes(name))

    async def seen(self, source_id: str, *, since_s: float, newest: int) -> list[Seen]:
        """A page is short, so that actors that read the log on the same connection hardly wait."""
        before, head = await self._store.read(lambda tx: (tx.seq_before(int(since_s * 1000)), tx.head()))
        found: dict[tuple[str, str, str, str], Seen] = {}
        for after in range(max(before, head - newest), head, SEEN_PAGE):
            page = await self._store.read(lambda tx, after=after: tx.seen(source_id, after, min(head, after + SEEN_PAGE)))  # type: ignore[misc]
            for one in page:
                known = found.get(one[:4])
                if known:
                    one = known._replace(n=known.n + one.n, first_ms=min(known.first_ms, one.first_ms), last_ms=max(known.last_ms, one.last_ms))
                found[one[:4]] = one
        return list(found.values())
