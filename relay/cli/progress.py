"""Progress of work that lasts: nothing for two seconds, then a rich bar on a terminal, or one line every ten seconds without one."""

import sys
import time
from typing import Any, Final

import click

QUIET_S: Final = 2.0
LINE_EVERY_S: Final = 10.0


class Progress:
    """Used as a context manager; `show` is called as often as there is news."""

    def __init__(self, what: str, *, silent: bool) -> None:
        self._what = what
        self._silent = silent
        self._started = time.monotonic()
        self._said = self._started + QUIET_S - LINE_EVERY_S
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Tell how far the work is."""
        now = time.monotonic()
        if self._silent or now - self._started < QUIET_S:
            return
        if sys.stderr.isatty():
            self._draw(done, total)
        elif now - self._said >= LINE_EVERY_S:
            self._said = now
            rate = done / (now - self._started)
            left = f", {(total - done) / rate:.0f} s left" if rate else ""
            click.echo(f"{self._what}: {done:,} of {total:,} ({rate:,.0f}/s{left})", err=True)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}/s"), TimeRemainingColumn()
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=total, rate="-")
            self._bar.start()
        rate = done / max(0.001, time.monotonic() - self._started)
        self._bar.update(self._task, completed=done, total=total, rate=f"{rate:,.0f}")
