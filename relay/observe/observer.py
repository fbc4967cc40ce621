"""The one place that takes facts: each becomes its log line and its counts, in that one call."""

from collections.abc import Callable
from typing import Any, Final

import structlog

from relay.observe.facts import Counters, Fact

_RANKS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Observer:
    """Synchronous, never waits, never raises. A fact below `level` costs its counts only."""

    def __init__(self, counters: Counters, *, level: str = "info", log: Any = None) -> None:
        self._counters = counters
        self._printed = {name for name, rank in _RANKS.items() if rank >= _RANKS[level]}
        self._log = log or structlog.get_logger("relay.observe")
        self.listeners: list[Callable[[Fact], None]] = []
        """Hear every fact, after it was counted; they must be quick and must not raise."""

    def emit(self, fact: Fact) -> None:
        """Report one fact."""
        fact.measure(self._counters)
        for listener in self.listeners:
            listener(fact)
        level = fact.level
        if level in self._printed:
            name, keys = fact.line()
            getattr(self._log, level)(name, **keys)

    def committed(self, duration_s: float, rows: int) -> None:
        """One commit of the database's writer. No fact: it has no log line."""
        self._counters.observe("relay_outbox_commit_duration_seconds", duration_s)
        self._counters.observe("relay_outbox_commit_rows", rows)
