"""Stored events of a span of time, each once: first those of the log, then, of what the log has lost, those of an archive.

Holds a page at a time and the ranges of seqs that it has met, so memory does not grow with the span.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

from relay.kit.sink import Archive, Span
from relay.outbox.interface import PAGE, Claim

SLACK_S: Final = 60.0
"""Around a gap of the log, in case the clock was set meanwhile; what was read already is not read again."""


class Log(Protocol):
    """What is read of the log."""

    async def at(self, seq: int) -> Claim | None: ...

    def scan(
        self, *, after: int = 0, until: int | None = None, since_s: float = 0.0, until_s: float = 0.0, page: int = PAGE
    ) -> AsyncIterator[list[Claim]]: ...


class Traffic:
    """One reading of `span`; `head`: the last seq of the log; `archive`: what it is filled up from, None: nothing. Does not close the archive."""

    def __init__(self, *, log: Log, head: int, span: Span, archive: Archive | None = None, page: int = PAGE) -> None:
        self.read = self.archived = self.total = 0
        """`total` is a guess until everything is read."""
        self.is_partial = False
        """The log no longer reaches back to the beginning of the span, and there is no archive to fill it up from."""
        self._log = log
        self._head = head
        self._span = span
        self._archive = archive
        self._page = page
        self._met: list[list[int]] = []
        """Ranges of seqs, both ends included, rising."""
        self._gap_s = 0.0
        """Before this time the log has holes; 0: it has none."""

    async def pages(self) -> AsyncGenerator[tuple[list[Claim], bool], None]:
        """Pages of events, and whether they come from the archive."""
        async with aclosing(self._log.scan(since_s=self._span.since_s, until_s=self._span.until_s, page=self._page)) as pages:  # type: ignore[type-var]
            async for page in pages:
                await self._note(page)
                self.read += len(page)
                self.total = max(self.total, self.read)
                yield page, False
        if not self._met and self._head:
            newest = await self._log.at(self._head)
            if newest is None or newest.event.received_ms >= self._span.since_s * 1000:
                self._gap_s = self._span.until_s or float("inf")
        if self._gap_s:
            self.is_partial = self._archive is None
            async for page in self._lost():
                yield page, True
        self.total = self.read

    async def _note(self, page: list[Claim]) -> None:
        """Remember which seqs were met, and where the log has holes."""
        for seq, event in page:
            if self._met and seq == self._met[-1][1] + 1:
                self._met[-1][1] = seq
                continue
            if self._met or (seq > 1 and await self._log.at(seq - 1) is None):
                self._gap_s = event.received_ms / 1000 + SLACK_S
            if not self._met:
                self.total = self._head - seq + 1
            self._met.append([seq, seq])

    async def _lost(self) -> AsyncIterator[list[Claim]]:
        """What the archive has of the time in which the log has holes."""
        if self._archive is None:
            return
        until_s = min(self._gap_s, self._span.until_s or float("inf"))
        lost = Span(self._span.sources, self._span.since_s, 0.0 if until_s == float("inf") else until_s)
        self.total = self.read + (await self._archive.count(lost)).events
        async with aclosing(self._archive.read(lost)) as pages:  # type: ignore[type-var]
            async for page in pages:
                claims = [Claim(seq, event) for seq, event in page.events if not self._has_met(seq)]
                self.read += len(claims)
                self.archived += len(claims)
                if claims:
                    yield claims

    def _has_met(self, seq: int) -> bool:
        at = bisect_right(self._met, seq, key=lambda run: run[0]) - 1
        return at >= 0 and seq <= self._met[at][1]
