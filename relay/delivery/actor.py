"""The actor of one destination, its life and its loop: scan, start, commit, rest. One task runs the loop; each attempt is a task of its own.

Promises: at least once; per user in order (lanes); an attempt's end is settled even when relay stops meanwhile; nothing here
waits for another destination. The algorithm is the outbox page's sections 5 and 6; names of rules in comments are from there.
"""

import asyncio

from relay.delivery.commits import Commits
from relay.delivery.decisions import Decisions
from relay.delivery.desk import Desk, Means
from relay.delivery.ends import Ends
from relay.delivery.feed import Feed
from relay.delivery.flights import Flights
from relay.delivery.outcomes import Outcomes
from relay.delivery.scan import Scan
from relay.delivery.stream import Stream
from relay.kit.sink import Filing
from relay.outbox.interface import Changed, Consumer
from relay.pipeline.compiled import CompiledDestination

TICK_S = 1.0


class Actor:
    """Delivers one destination under one compiled version; the supervisor replaces it when that changes."""

    def __init__(self, destination: CompiledDestination, means: Means, live: Consumer, *, settings_changed: bool = False) -> None:
        """Takes over the live consumer, which was opened after the predecessor's last attempt. `run` does the rest."""
        self.destination = destination
        self._means = means
        self._clock = means.clock
        self._desk = desk = Desk(destination, means, live)
        self.gate = desk.gate
        if settings_changed:
            self.gate.settings_changed()
        self._outcomes = Outcomes(
            destination.destination, desk.gate, desk.pace, clock=means.clock, chance=means.chance, observer=means.observer,
            fails_whole=means.sink is not None,
        )  # fmt: skip
        ends = Ends(desk, self._outcomes)
        decisions = Decisions(desk, ends)
        self._scan = Scan(desk, decisions)
        self._flights = Flights(desk, decisions, ends)
        self._commits = Commits(desk)
        self._stopping = False
        self._ticked_s = 0.0
        self._deaf = False
        self._listen_to(desk.live)
        means.feed.watch(desk.wake)

    # life

    def add_stream(self, consumer: Consumer, feed: Feed | None = None) -> None:
        """Follow a replay into this destination; one from an archive brings a feed of its own."""
        if consumer.name not in self._desk.board.streams:
            self._listen_to(self._desk.follow(consumer, feed))
            if feed is not None:
                feed.watch(self._desk.wake)

    @property
    def replays(self) -> set[str]:
        """Names of the replays it follows."""
        return {name for name, stream in self._desk.board.streams.items() if stream.end is not None}

    @property
    def aloft(self) -> set[int]:
        """Seqs of live events with an attempt on its way."""
        return self._flights.seqs(self._desk.live.name)

    async def run(self) -> None:
        """Until `stop`, or until cancelled (then what is in flight is given up and sent again later)."""
        desk = self._desk
        try:
            while not self._stopping:
                desk.wake.clear()
                if desk.error:
                    raise desk.error
                self._flights.pump()
                moved = [not self._stopping and await self._scan.step(stream) for stream in list(desk.board.streams.values())]
                if any(moved) and not self._stopping:  # nobody would write the outcome of what starts then
                    self._flights.pump()
                self._outcomes.note_gate()
                self._commits.begin()
                await self._tick()
                if any(moved):
                    await asyncio.sleep(0)
                else:
                    await self._rest()
        except BaseException:
            self._means.feed.unwatch(desk.wake)
            self._flights.cancel()
            raise

    async def stop(self, drain_s: float) -> None:
        """No new attempts; those in flight may end within `drain_s`, their outcomes are written; then everything is closed."""
        self._stopping = True
        self._desk.wake.set()
        self._means.feed.unwatch(self._desk.wake)
        await self._flights.land(drain_s)
        await self._commits.finish()
        await self.close()

    async def finish_files(self) -> None:
        """Let the sink finish what it holds open; what is being written goes first."""
        if isinstance(self._means.sink, Filing):
            await self._means.sink.finish()

    async def close(self) -> None:
        """Close connections and files; calling it twice is harmless."""
        for stream in self._desk.board.streams.values():
            if stream.feed is not None:
                await stream.feed.close()
        await self._means.transport.close()
        if self._means.sink:
            await self._means.sink.close()

    # news of other operations

    def _listen_to(self, stream: Stream) -> None:
        """Hear what other operations change, and what they changed since the consumer was opened."""
        consumer = stream.consumer
        for changed in consumer.changes:
            self._changed(stream, changed)
        consumer.changes.clear()
        consumer.on_change = lambda changed: self._changed(stream, changed)
        self._desk.wake.set()

    def _changed(self, stream: Stream, changed: Changed) -> None:
        """Another operation changed rows or state (messages arrive in commit order)."""
        board = self._desk.board
        for row in changed.opened:
            board.add_row(stream, row, saved=True)
        for seq, subscription_id in changed.closed:
            if item := board.rows.get((stream.name, seq, subscription_id)):
                board.vanish(item)
        for seq, subscription_id in changed.due:
            if item := board.rows.get((stream.name, seq, subscription_id)):
                board.hasten(item)
        if changed.expired or changed.rescan:
            self._flights.tie()
        if changed.expired:
            board.expire(stream, changed.expired)
        if changed.rescan:
            self._flights.unbatch()
            board.forget(stream)
        if changed.state is not None and stream is self._desk.live:
            self.gate.obey(changed.state)
        self._desk.wake.set()

    # wait

    def _mind_the_feed(self) -> None:
        """Hear of news only while there is room for it: a destination that is held, or far behind, costs nothing per event."""
        deaf = self._desk.room <= 0 or not self._desk.live.may_scan
        if deaf == self._deaf:
            return
        self._deaf = deaf
        if deaf:
            self._means.feed.unwatch(self._desk.wake)
        else:
            self._means.feed.watch(self._desk.wake)
            self._desk.wake.set()  # some may have come meanwhile

    async def _tick(self) -> None:
        """Let an idle sink roll what is old, once a second."""
        sink, now_s = self._means.sink, self._clock.monotonic()
        if sink is not None and not self._flights and now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            await sink.tick()

    async def _rest(self) -> None:
        """Until something happens or the next deadline; at most a second, so that idle marks and ticks are on time."""
        wake = self._desk.wake
        if wake.is_set():
            return
        self._mind_the_feed()
        timer = asyncio.get_running_loop().call_later(max(0.001, self._idle_s()), wake.set)
        try:
            await wake.wait()
        finally:
            timer.cancel()

    def _idle_s(self) -> float:
        """How long nothing is due."""
        desk, monotonic, now_s = self._desk, self._clock.monotonic(), self._clock.now()
        waits = [TICK_S, desk.board.next_due_s() - now_s, desk.board.pace_s()]
        waits += [stream.commit_due_s() - monotonic for stream in desk.board.streams.values()]
        if (linger_s := desk.batches.next_s() - monotonic) > 0:  # a batch that is due already waits for the gate, the pace or a landing
            waits.append(linger_s)
        if desk.board.has_ready or desk.batches.waiting:
            waits += [wait_s for wait_s in (desk.gate.next_s() - now_s, desk.pace.delay_s(monotonic)) if wait_s > 0]
        return min(waits)
