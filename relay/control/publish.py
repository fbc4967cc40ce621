"""The one door through which a workspace changes: read, checked, stored, in use. A mistake keeps the old version."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from relay.access.operator import Operator
from relay.base.clock import Clock
from relay.errors import ConfigError, Problem
from relay.observe.facts import ConfigReloaded, ReloadRefused
from relay.observe.observer import Observer
from relay.pipeline.compiled import Compiled, Current
from relay.workspace.model import Destination, Source, Workspace


class WorkspaceStore(Protocol):
    """Where versions are kept."""

    async def save(self, workspace: Workspace, by: str, at_s: float) -> Workspace:
        """`workspace` with its number; an unchanged one keeps the number it had."""
        ...


class Supervisor(Protocol):
    """Who runs the actors."""

    async def use(self, compiled: Compiled) -> None:
        """Start, swap and stop what differs; unchanged destinations are not touched."""
        ...


class Publisher:
    """`read` gives the candidate and its warnings, and may block (files); `compile` is pure. Both raise ConfigError."""

    def __init__(
        self,
        *,
        read: Callable[[], tuple[Workspace, list[Problem]]],
        compile: Callable[[Workspace], Compiled],
        store: WorkspaceStore,
        current: Current,
        supervisor: Supervisor,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._read = read
        self._compile = compile
        self._store = store
        self._current = current
        self._supervisor = supervisor
        self._clock = clock
        self._observer = observer
        self._lock = asyncio.Lock()
        self.warnings: list[Problem] = []
        """Of the version in use."""

    async def reload(self, by: Operator) -> Workspace:
        """Read the configuration again and use it. One at a time; raises ConfigError, and then nothing has changed."""
        async with self._lock:
            try:
                candidate, warnings = await asyncio.to_thread(self._read)
                self._compile(candidate)
            except ConfigError as error:
                self._observer.emit(ReloadRefused(tuple(_told(problem) for problem in error.problems), by.name))
                raise
            saved = await self._store.save(candidate, by.name, self._clock.now())
            before, compiled = self._current.compiled.workspace, self._compile(saved)
            self._current.compiled = compiled
            self.warnings = warnings
            await self._supervisor.use(compiled)
            self._observer.emit(ConfigReloaded(saved.version, changed(before, saved), by.name))
            return saved


def changed(before: Workspace, after: Workspace) -> tuple[str, ...]:
    """Slugs of the sources and destinations that are new, different or gone."""
    old: dict[str, Source | Destination] = _by_slug(before)
    new = _by_slug(after)
    return tuple(sorted(key.partition(":")[2] for key in old.keys() | new.keys() if old.get(key) != new.get(key)))


def _by_slug(workspace: Workspace) -> dict[str, Source | Destination]:
    sources: dict[str, Source | Destination] = {f"source:{one.slug}": one for one in workspace.sources}
    return sources | {f"destination:{one.slug}": one for one in workspace.destinations}


def _told(problem: Problem) -> str:
    return f"{problem.place}: {problem.message}" if problem.place else problem.message
