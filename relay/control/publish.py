"""The one door through which a workspace changes: read, checked, stored, in use. A mistake keeps the old version."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from relay.access.operator import Operator
from relay.base.clock import Clock
from relay.errors import ConfigError, Problem
from relay.observe.facts import ConfigReloaded, ReloadRefused
from relay.observe.observer import Observer
from relay.pipeline.compiled import Compiled, Current
from relay.workspace.model import Destination, Source, Workspace
from relay.workspace.stored import Stored

Edit = Callable[[Stored, Workspace], Stored]
"""One change of what the UI owns, given what it is and the workspace in use; raises RequestError for one that may not be."""


class WorkspaceStore(Protocol):
    """Where versions are kept."""

    async def save(self, workspace: Workspace, by: str, at_s: float, stored: Stored) -> Workspace:
        """`workspace` with its number, and what the UI owns of it; an unchanged one keeps the number it had."""
        ...


class Supervisor(Protocol):
    """Who runs the actors."""

    async def use(self, compiled: Compiled) -> None:
        """Start, swap and stop what differs; unchanged destinations are not touched."""
        ...


class Publisher:
    """`read` gives the candidate with what the UI owns, and its warnings; it may block (files). `compile` is pure. Both raise ConfigError."""

    def __init__(
        self,
        *,
        read: Callable[[Stored], tuple[Workspace, list[Problem]]],
        compile: Callable[[Workspace], Compiled],
        store: WorkspaceStore,
        stored: Stored,
        current: Current,
        supervisor: Supervisor,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._read = read
        self._compile = compile
        self._store = store
        self.stored = stored
        """What the UI owns of the version in use."""
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
            return await self._use(self.stored, by)

    async def change(self, edit: Edit, by: Operator) -> Workspace:
        """Change what the UI owns, and use it with the files as they are now. Raises what `edit` does, and ConfigError; then nothing has changed."""
        async with self._lock:
            workspace, _ = await self._read_with(self.stored, by)
            return await self._use(edit(self.stored, workspace), by)

    async def _use(self, stored: Stored, by: Operator) -> Workspace:
        candidate, warnings = await self._read_with(stored, by)
        with self._refusing(by):
            self._compile(candidate)
        saved = await self._store.save(candidate, by.name, self._clock.now(), stored)
        before, compiled = self._current.compiled.workspace, self._compile(saved)
        self._current.compiled, self.stored = compiled, stored
        self.warnings = warnings
        await self._supervisor.use(compiled)
        self._observer.emit(ConfigReloaded(saved.version, changed(before, saved), by.name))
        return saved

    async def _read_with(self, stored: Stored, by: Operator) -> tuple[Workspace, list[Problem]]:
        with self._refusing(by):
            return await asyncio.to_thread(self._read, stored)

    @contextmanager
    def _refusing(self, by: Operator) -> Iterator[None]:
        """A configuration that cannot be used is told."""
        try:
            yield
        except ConfigError as error:
            self._observer.emit(ReloadRefused(tuple(_told(problem) for problem in error.problems), by.name))
            raise


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
