"""What the parts of one actor share: what it was handed, and the state of its destination. Owned by the actor, decides nothing.

The scan puts items on the board, flights take them off, ends write down what became of them; none of these knows the actor.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from relay.base.chance import Chance
from relay.base.clock import Clock
from relay.base.tasks import spawn
from relay.delivery.batches import Batches
from relay.delivery.board import Board
from relay.delivery.brake import Brake
from relay.delivery.breaker import Gate
from relay.delivery.feed import Feed
from relay.delivery.lanes import Item
from relay.delivery.stream import Stream
from relay.delivery.throttle import Throttle
from relay.kit.request import Transport
from relay.kit.sink import Sink
from relay.observe.observer import Observer
from relay.outbox.interface import Consumer
from relay.pipeline.compiled import CompiledDestination

HELD_WINDOW = 32
"""Most items in memory while the gate is shut: enough for every probe to be another one."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an actor works with; all handed in."""

    feed: Feed
    transport: Transport
    sink: Sink | None
    clock: Clock
    chance: Chance
    observer: Observer
    alone: asyncio.Lock | None = None
    """The last run did not end properly: held by whoever handles what may have been the cause. None: it did."""
    brake: Brake | None = None
    """Keeps replays below live traffic; one for all destinations."""


class Desk:
    """One destination under one compiled version."""

    def __init__(self, destination: CompiledDestination, means: Means, live: Consumer) -> None:
        self.destination = destination
        self.means = means
        self.clock = clock = means.clock
        model = destination.destination
        limit = 1 if means.sink is not None or model.order == "strict" else model.concurrency
        self.board = Board(model, clock, keyless=means.sink is not None, limit=limit)
        self.batches: Batches[Item | None] = Batches()
        self.pace = Throttle(model.rate_per_s)
        self.gate = Gate(limit, live.cursor.state, now_s=clock.now(), draw=means.chance.draw)
        largest = max((subscription.action.batch_size for subscription in destination.subscriptions), default=1)
        self.window = max(256, min(2_000, 2 * limit * largest))
        """Most items in memory."""
        self.live = self.follow(live)
        self.wake = asyncio.Event()
        """Set when the actor has something to look at."""
        self.error: BaseException | None = None
        """What broke in a task of this actor; ends it."""

    @property
    def room(self) -> int:
        """How many more items may be scanned."""
        return self._most - self.board.in_memory

    def wants_more(self, stream: Stream) -> bool:
        """Whether to read on: nothing is ready to start, or a quarter of the room is free, so that few events are not read one by one."""
        return self.room > 0 and (self.room * 4 >= self._most or not self.board.is_stocked(stream))

    @property
    def _most(self) -> int:
        return HELD_WINDOW if self.gate.is_shut else self.window

    @property
    def is_stuck(self) -> bool:
        """Nothing more can be scanned before something is settled: batches must not wait for more."""
        return self.room <= 0 or any(stream.is_far for stream in self.board.streams.values())

    def follow(self, consumer: Consumer, feed: Feed | None = None) -> Stream:
        """Put a consumer's stream and its rows on the board."""
        careful = self.means.alone is not None
        stream = Stream(consumer, now_s=self.clock.monotonic(), careful=careful, feed=feed, brake=self.means.brake)
        self.board.streams[consumer.name] = stream
        for row in consumer.rows:
            self.board.add_row(stream, row, saved=True)
        return stream

    def spawn(self, work: Coroutine[object, object, None], name: str, ended: Callable[["asyncio.Task[None]"], None]) -> "asyncio.Task[None]":
        """Start a task whose end is told to `ended` and wakes the actor; an error in it ends the actor."""

        def done(task: "asyncio.Task[None]") -> None:
            ended(task)
            self.wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                self.error = error

        task = spawn(work, name=name)
        task.add_done_callback(done)
        return task
