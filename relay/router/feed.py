"""What an actor reads: events of its sources with the source side done, from the tail or, behind it, from the log."""

import asyncio

from relay.outbox.interface import Claim, Consumer
from relay.pipeline.compiled import Current
from relay.pipeline.decision import Sourced
from relay.router.router import source
from relay.router.tail import Tail


class TailFeed:
    """The feed of one consumer of one destination."""

    def __init__(self, tail: Tail, current: Current, sources: frozenset[str]) -> None:
        self._tail = tail
        self._current = current
        self._sources = sources

    def watch(self, wake: asyncio.Event) -> None:
        self._tail.watch(wake, self._sources)

    def unwatch(self, wake: asyncio.Event) -> None:
        self._tail.unwatch(wake)

    async def close(self) -> None:
        """Nothing is kept open."""

    @property
    def upto(self) -> int:
        """How far the router is; nothing above is handed out."""
        return self._tail.upto

    async def entries(self, consumer: Consumer, after: int, limit: int) -> tuple[list[Sourced], int]:
        """Events after `after` in order, and the seq up to which the log was looked at: what lies between is of other sources."""
        upto = self._tail.upto
        if after >= upto:
            return [], after
        # A replay reads the log: the tail may still have what was trimmed, and its retry would find no body.
        results = self._tail.after(after, limit) if consumer.cursor.end is None else None
        if results is not None:
            wanted = [result for result in results if result.event.source_id in self._sources]
            return wanted, results[-1].seq if results else after
        compiled = self._current.compiled
        claims, reached = await consumer.read(after, limit, self._sources)
        return [source(claim, compiled) for claim in claims if claim.seq <= upto], min(reached, upto)

    def sourced(self, claim: Claim) -> Sourced:
        """The source side of an event that a row brought back."""
        return source(claim, self._current.compiled)
