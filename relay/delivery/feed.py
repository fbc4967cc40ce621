"""What an actor needs of the router: the Feed (implemented by router.feed)."""

import asyncio
from typing import Protocol

from relay.outbox.interface import Claim, Consumer
from relay.pipeline.decision import Sourced


class Feed(Protocol):
    """Events of one destination's sources, with the source side done."""

    @property
    def upto(self) -> int:
        """How far the router is."""
        ...

    def watch(self, wake: asyncio.Event) -> None:
        """Set `wake` when there is news."""
        ...

    def unwatch(self, wake: asyncio.Event) -> None: ...

    async def entries(self, consumer: Consumer, after: int, limit: int) -> tuple[list[Sourced], int]:
        """Events after `after` in order, and the seq up to which the log was looked at."""
        ...

    async def close(self) -> None:
        """Nobody will ask any more; calling it twice is harmless."""
        ...

    def sourced(self, claim: Claim) -> Sourced:
        """The source side of an event that a row brought back."""
        ...
