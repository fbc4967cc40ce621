"""The commits of one actor: begins those that are wanted, one at a time per stream, so that outcomes gather meanwhile."""

import asyncio
from collections.abc import Callable, Sequence

from relay.base.tasks import settle_now
from relay.delivery.desk import Desk
from relay.delivery.lanes import ENDED, Item
from relay.delivery.stream import Stream

SETTLE_S = 30.0


class Commits:
    """Writes what the streams of one destination have gathered, and the state of its gate with the live one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def begin(self) -> None:
        """Begin what is wanted now; a replay that is over leaves the board."""
        desk, now_s = self._desk, self._desk.clock.monotonic()
        for stream in list(desk.board.streams.values()):
            if stream.wants_commit(now_s, patch=stream is desk.live and desk.gate.dirty):
                stream.settling = desk.spawn(self._commit(stream), f"settle:{stream.name}", _ended(stream))
            elif stream.is_over:
                stream.consumer.on_change = None  # rows that are sent again later come with another open
                del desk.board.streams[stream.name]

    async def finish(self) -> None:
        """Write everything that is left, also when cancelled meanwhile. Raises TimeoutError after SETTLE_S each."""
        for stream in self._desk.board.streams.values():
            if stream.settling:
                await settle_now(asyncio.wait([stream.settling]), timeout_s=SETTLE_S)
            await settle_now(self._commit(stream), timeout_s=SETTLE_S)
            await settle_now(stream.relax(), timeout_s=SETTLE_S)

    async def _commit(self, stream: Stream) -> None:
        patch = self._desk.gate.patch() if stream is self._desk.live else None
        if stream.settlements or stream.attempts or patch:
            await stream.commit(self._desk.clock.monotonic(), patch, self._saved)

    def _saved(self, items: Sequence[Item]) -> None:
        """The outcomes of these items are on disk."""
        board = self._desk.board
        for item in items:
            if item.state == ENDED:
                board.leave(item)
            elif not item.gone:
                board.row_saved(item)


def _ended(stream: Stream) -> Callable[["asyncio.Task[None]"], None]:
    def ended(_: "asyncio.Task[None]") -> None:
        stream.settling = None

    return ended
