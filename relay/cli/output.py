"""What a command prints: data on stdout, talk on stderr, one JSON document with --json; and the options that every command has."""

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from relay.cli import exits

F = TypeVar("F", bound=Callable[..., Any])

STATE_COLORS: Final[Mapping[str, str]] = {
    "ok": "green", "delivered": "green", "warn": "yellow", "held": "yellow", "retry": "yellow", "parked": "yellow",
    "fail": "red", "dead": "red", "expired": "red", "blocked": "red",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """How one run of a command speaks."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: bool | None = None
    """None: as the stream and the environment say."""

    def talk(self, message: str) -> None:
        """A remark for a person; silent with -q."""
        if not self.quiet:
            click.echo(message, err=True)

    def detail(self, message: str) -> None:
        """A remark that only -v shows."""
        if self.verbose:
            click.echo(message, err=True)

    def warn(self, message: str) -> None:
        """A warning; also with -q."""
        click.echo(f"warning: {message}", err=True)

    def line(self, text: str) -> None:
        """A line of data."""
        click.echo(text, color=self._colored())

    def document(self, value: Any) -> None:
        """The one JSON document of --json."""
        click.echo(to_json(value))

    def paint(self, text: str, state: str = "") -> str:
        """`text` in the colour of a state, when stdout may have colour."""
        color = STATE_COLORS.get(state or text.strip())
        return click.style(text, fg=color) if color and self._colored() else text

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table: by rich on a terminal; else aligned with spaces. One line per row, so that ids can be copied and lines counted."""
        plain = [[printable(cell) for cell in row] for row in rows]
        if sys.stdout.isatty():
            self._draw_table(heads, plain)
            return
        widths = [max(len(row[column]) for row in [heads, *plain]) for column in range(len(heads))]
        for number, row in enumerate([heads, *plain]):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  ".join(self.paint(cell) if number else cell for cell in cells).rstrip())

    def _draw_table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.cells import cell_len
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        colored = self._colored()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in heads:
            table.add_column(head, no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell, style=STATE_COLORS.get(cell, "")) for cell in row))
        natural = sum(max(map(cell_len, column)) + 2 for column in zip(heads, *rows, strict=True))
        console = Console(no_color=not colored, force_terminal=True, highlight=False, markup=False)
        console.width = max(console.width, natural)
        console.print(table)

    def _colored(self) -> bool:
        return wants_color(sys.stdout.isatty(), os.environ) if self.color is None else self.color


def wants_color(terminal: bool, environment: Mapping[str, str]) -> bool:
    """FORCE_COLOR wins; else colour needs a terminal that is not dumb, and NO_COLOR unset."""
    if environment.get("FORCE_COLOR"):
        return True
    return terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def printable(text: str) -> str:
    """`text` on one line, without what steers a terminal: names of events come from anybody."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def to_json(value: Any) -> str:
    """Readable JSON; bytes that are no UTF-8 and other strangers become text."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode()


def output_options(command: F) -> F:
    """Add --json -q -v --no-color, handed to the command as `out: Output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @talk_options
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, out: Output, **kwargs: Any) -> Any:
        return command(*args, out=Output(as_json, out.quiet, out.verbose, out.color), **kwargs)

    return wrapped  # type: ignore[return-value]


def talk_options(command: F) -> F:
    """Add -q -v --no-color, for the one command without --json."""

    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more.")
    @click.option("--no-color", is_flag=True, help="Print without colour.")
    @functools.wraps(command)
    def wrapped(*args: Any, quiet: bool, verbose: bool, no_color: bool, **kwargs: Any) -> Any:
        return command(*args, out=Output(False, quiet, verbose, False if no_color else None), **kwargs)

    return wrapped  # type: ignore[return-value]


def agree(question: str, *, yes: bool) -> None:
    """Ask a person before something is done; without a terminal, fail with the flag to use."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise exits.Failure(exits.USAGE, f"{question} There is no terminal to ask on.", "Add --yes to go on without being asked.")
    if not click.confirm(question, err=True):
        raise exits.Failure(exits.PROBLEMS, "nothing was done")
