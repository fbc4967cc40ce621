"""`relay top`: how every destination is doing, live, from the figures that the browser gets."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.output import STATE_COLORS, Output, output_options, printable
from relay.cli.remote import Remote, remote_options

Figures = dict[str, Any]

NARROW: Final = 80
FIRST_S: Final = 1.0
"""Rates of a shorter window say nothing."""
P95_EVERY_S: Final = 5.0
SORTS: Final[Mapping[str, Callable[[tuple[str, Figures]], Any]]] = {
    "backlog": lambda one: (-one[1]["backlog"], one[0]),
    "rate": lambda one: (-one[1]["rate"], one[0]),
    "oldest": lambda one: (-(one[1]["oldest_s"] or 0), one[0]),
    "retry": lambda one: (-one[1]["retry"], one[0]),
    "dead": lambda one: (-one[1]["dead"], one[0]),
    "success": lambda one: (1.0 if one[1]["success"] is None else one[1]["success"], one[0]),
    "name": lambda one: one[0],
}
COLUMNS: Final = ("destination", "state", "out/s", "backlog", "oldest", "retry", "dead", "success", "p95")
DROPPED_FIRST: Final = ("p95", "retry", "success", "oldest", "dead")
"""Columns that a narrow terminal does without."""


@click.command()
@click.option("--once", is_flag=True, help="Print once and end.")
@click.option("--interval", type=click.FloatRange(min=0.2, max=3600), default=1.0, show_default=True, help="Seconds between two pictures.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="backlog", show_default=True, help="What comes first.")
@remote_options
@output_options
def top(once: bool, interval: float, sort: str, remote: Remote, out: Output) -> int:
    """Watch the destinations: rates, backlog, oldest entry, retries, dead letters, success. `q` quits, `s` sorts by the next column.

    \b
    relay top --sort oldest
    relay top --once --json
    """
    screen = sys.stdout.isatty()
    if once or out.json or not screen:
        figures = asyncio.run(_first(remote))
        if out.json or not screen:
            out.document(figures)
        else:
            out.line(_headline(figures))
            out.table(COLUMNS, [[_cells(name, one)[column] for column in COLUMNS] for name, one in _sorted(figures, sort)])
        return exits.DONE
    asyncio.run(_watch(remote, interval, sort, colored=out.color is not False))
    return exits.DONE


async def _figures(remote: Remote) -> AsyncGenerator[Figures, None]:
    """What relay says each second, over connections."""
    from relay.cli.live_client import Lost, connected, delay_s, refreshed, unreachable

    tries, seen = 0, False
    while True:
        try:
            async with connected(remote) as socket:
                tries, seen = 0, True
                while True:
                    message = await socket.receive()
                    if message["t"] == "stats":
                        yield message
        except Lost as lost:
            if not seen:
                raise unreachable(remote, lost) from lost
        await asyncio.sleep(delay_s(tries))
        tries += 1
        remote = refreshed(remote)


async def _first(remote: Remote) -> Figures:
    async with contextlib.aclosing(_figures(remote)) as all_figures:
        async for figures in all_figures:
            if figures["window_s"] >= FIRST_S:
                told = {key: value for key, value in figures.items() if key != "t"}
                return await _with_p95(told, remote)
    raise exits.Failure(exits.UNREACHABLE, f"relay at {remote.url} says nothing")


async def _with_p95(figures: Figures, remote: Remote) -> Figures:
    """The delivery time of each destination comes from the console: it is counted by the minute, not by the second."""
    told = await asyncio.to_thread(remote.get, "destinations")
    by_slug = {one["slug"]: one.get("p95_ms") for one in told.get("destinations", [])}
    for slug, one in figures["dest"].items():
        one["p95_ms"] = by_slug.get(slug)
    return figures


async def _watch(remote: Remote, interval_s: float, sort: str, *, colored: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    loop = asyncio.get_running_loop()
    keys: asyncio.Queue[str] = asyncio.Queue(100)
    p95: dict[str, float | None] = {}
    asked_s = shown_s = float("-inf")
    console = Console(no_color=not colored, highlight=False, markup=False)
    with _keys(keys), Live(console=console, screen=True, auto_refresh=False) as live:
        async with contextlib.aclosing(_figures(remote)) as all_figures:
            async for figures in all_figures:
                while not keys.empty():
                    key = keys.get_nowait()
                    if key == "q":
                        return
                    if key == "s":
                        names = list(SORTS)
                        sort, shown_s = names[(names.index(sort) + 1) % len(names)], float("-inf")
                if loop.time() - asked_s >= P95_EVERY_S:
                    asked_s = loop.time()
                    with contextlib.suppress(exits.Failure):
                        await _with_p95(figures, remote)
                        p95 = {slug: one["p95_ms"] for slug, one in figures["dest"].items()}
                for slug, one in figures["dest"].items():
                    one["p95_ms"] = p95.get(slug)
                if loop.time() - shown_s >= interval_s - 0.1:
                    shown_s = loop.time()
                    live.update(_picture(figures, sort, console.width), refresh=True)


@contextmanager
def _keys(keys: "asyncio.Queue[str]") -> Iterator[None]:
    """Keys as they are pressed, without waiting for a line, while the terminal can do that."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        for key in os.read(descriptor, 32).decode("utf-8", "ignore"):
            if not keys.full():
                keys.put_nowait(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _picture(figures: Figures, sort: str, width: int) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = [column for column in COLUMNS if width >= NARROW or column not in DROPPED_FIRST[: 1 + (NARROW - width) // 9]]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, justify="left" if column in ("destination", "state") else "right")
    for name, one in _sorted(figures, sort):
        cells = _cells(name, one)
        table.add_row(*(Text(cells[column], style=_style(column, one)) for column in columns))
    return Group(
        Text(_headline(figures), no_wrap=True, overflow="ellipsis"), Text(), table, Text(), Text(f"sorted by {sort}   q quits, s sorts", style="dim")
    )


def _style(column: str, one: Figures) -> str:
    if column == "state":
        return "green" if one["state"] == "running" else STATE_COLORS["held"]
    if column == "dead" and one["dead"]:
        return STATE_COLORS["dead"]
    return STATE_COLORS["retry"] if column == "success" and one["success"] is not None and one["success"] < 0.98 else ""


def _headline(figures: Figures) -> str:
    out = sum(one["rate"] for one in figures["dest"].values())
    sources = "  ".join(f"{printable(slug)} {rate:,.1f}" for slug, rate in sorted(figures["sources"].items(), key=lambda one: -one[1])[:5] if rate)
    firing = f"{exits.count_of(figures['alerts'], 'alert')}   " if figures.get("alerts") else ""
    return f"relay  {figures['at'][11:19]} UTC   in {figures['in_rate']:,.1f}/s   out {out:,.1f}/s   {firing}{sources}".rstrip()


def _sorted(figures: Figures, sort: str) -> list[tuple[str, Figures]]:
    return sorted(figures["dest"].items(), key=SORTS[sort])


def _cells(name: str, one: Figures) -> dict[str, str]:
    from relay.cli.moments import show_span

    p95_ms = one.get("p95_ms")
    return {
        "destination": printable(name),
        "state": one["state"],
        "out/s": f"{one['rate']:,.1f}",
        "backlog": f"{one['backlog']:,}",
        "oldest": "-" if one["oldest_s"] is None else show_span(one["oldest_s"]),
        "retry": f"{one['retry']:,}",
        "dead": f"{one['dead']:,}",
        "success": "-" if one["success"] is None else f"{one['success']:.1%}",
        "p95": "-" if p95_ms is None else f"{p95_ms:,.0f} ms" if p95_ms < 10_000 else f"{p95_ms / 1000:,.0f} s",
    }
