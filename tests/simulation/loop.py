"""An event loop in virtual time: nothing waits, nothing is read from the machine, and one seed gives one order of steps."""

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any

LIFE: ContextVar[int] = ContextVar("LIFE", default=0)
"""Which process of the simulation a task belongs to; 0: the world around it."""


class StuckError(Exception):
    """Nothing is left to run, and the simulation has not ended."""


class SimTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have the same order in each run."""

    _numbers = 0

    def __init__(self, coro: Coroutine[Any, Any, Any], **options: Any) -> None:
        SimTask._numbers += 1
        self.number = SimTask._numbers
        context: Context | None = options.get("context")
        self.life = context.get(LIFE, 0) if context is not None else LIFE.get()
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number

    @staticmethod
    def renumber() -> None:
        """A new simulation begins."""
        SimTask._numbers = 0


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs one callback a step; when none is ready, the time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        SimTask.renumber()
        self._now = 1000.0
        self.steps = 0
        self.crash_at = 0
        """The step before which `on_crash` is called; 0: none."""
        self.on_crash: Callable[[], None] | None = None
        self.tasks: list[SimTask] = []
        self.errors: list[dict[str, Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._now

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> SimTask:
        task = SimTask(coro, loop=loop, **options)
        self.tasks.append(task)
        if len(self.tasks) > 2_000:
            self.tasks = [task for task in self.tasks if not task.done()]
        return task

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        while scheduled and (scheduled[0]._cancelled or scheduled[0]._when <= self._now):
            self._fire(ready, heapq.heappop(scheduled))
        if not ready:
            if not scheduled:
                raise StuckError("no task can run any more")
            timer = heapq.heappop(scheduled)
            self._now = max(self._now, timer._when)
            self._fire(ready, timer)
        self.steps += 1
        if self.steps == self.crash_at and self.on_crash is not None:
            self.on_crash()
        handle = ready.popleft()
        if not handle._cancelled:
            handle._run()

    def _fire(self, ready: Any, timer: Any) -> None:
        timer._scheduled = False
        if timer._cancelled:
            self._timer_cancelled_count = max(0, getattr(self, "_timer_cancelled_count", 0) - 1)
        ready.append(timer)

    def _write_to_self(self) -> None:
        """No other thread takes part."""

    def _process_events(self, event_list: Any) -> None:
        """There are no files."""


class SimClock:
    """The Clock of a simulation: the loop's time, and a wall clock that jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.offset_s = 1_700_000_000.0

    def now(self) -> float:
        return self._loop.time() + self.offset_s

    def monotonic(self) -> float:
        return self._loop.time()


class SimChance:
    """The Chance of a simulation."""

    def __init__(self, seed: str) -> None:
        self.draw = random.Random(seed).random
