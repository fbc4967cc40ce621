"""`relay tap`: live events on the terminal or in a pipe, by the protocol and in the filter language of the browser."""

import asyncio
import contextlib
import json
import shutil
import sys
from collections import OrderedDict
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.moments import Span
from relay.cli.output import Output, output_options, printable
from relay.cli.remote import Remote, remote_options
from relay.cli.why import SIGNS
from relay.errors import FilterError
from relay.observe.filter_bar import parse

SETTLE_S: Final = 1.0
"""How long a row waits for the outcome of its deliveries before it is printed."""
OPEN: Final = ("pending", "sending")
REMEMBERED: Final = 20_000
PAST: Final = 10
CATCH_UP: Final = 10_000
"""Rows asked for after a lost connection whose position is worth nothing any more: relay's history bridges the gap as far as it goes."""
WIDTHS: Final = (12, 8, 28, 20, 10)
HEADS: Final = ("time", "type", "event", "user", "source", "to")


@click.command()
@click.argument("wanted", metavar="[FILTER]...", nargs=-1)
@click.option("--limit", type=click.IntRange(min=1), help="End after so many rows.")
@click.option("--past", type=click.IntRange(min=0, max=10_000), default=PAST, show_default=True, help="Begin with so many rows of before.")
@click.option("--for", "for_s", type=Span(), metavar="SPAN", help="End after this time (30s, 5m).")
@click.option("--no-reconnect", is_flag=True, help="End when the connection does.")
@remote_options
@output_options
def tap(wanted: tuple[str, ...], limit: int | None, past: int, for_s: float | None, no_reconnect: bool, remote: Remote, out: Output) -> int:
    """Watch events as they come: a table on a terminal, one JSON object a line in a pipe.

    \b
    relay tap 'type:track event:"Order*" to:ga4 state:dead'
    relay tap --for 30s source:web -- -event:Heartbeat | jq .name
    """
    text = " ".join(wanted)
    try:
        ast = parse(text)
    except FilterError as error:
        pointer = f"\n  {text}\n  {' ' * (error.at or 0)}^"
        raise exits.Failure(exits.USAGE, f"{error.message}{pointer}") from error
    printer = Printer(out, limit, table=sys.stdout.isatty() and not out.json)
    with contextlib.suppress(Finished):
        asyncio.run(Tap(remote, ast, past, printer, reconnect=not no_reconnect).run(for_s))
    printer.flush()
    return exits.DONE if printer.count else exits.NO_MATCH


class Finished(Exception):
    """As many rows as were asked for."""


class Printer:
    """Prints each row once, when its deliveries have ended or it has waited for them long enough."""

    def __init__(self, out: Output, limit: int | None, *, table: bool) -> None:
        self.count = 0
        self.out = out
        self._limit = limit
        self._table = table
        self._waiting: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
        self._printed: OrderedDict[str, None] = OrderedDict()
        if table:
            self._line(list(HEADS))

    def add(self, row: dict[str, Any], now_s: float) -> None:
        if row["event_id"] not in self._printed:
            self._waiting[row["event_id"]] = (now_s + SETTLE_S, row)

    def change(self, patch: dict[str, Any]) -> None:
        if patch["event_id"] in self._waiting:
            self._waiting[patch["event_id"]][1]["to"] |= patch["to"]

    def settle(self, now_s: float) -> float | None:
        """Print what is ready, in the order of arrival; returns when the next row has waited long enough."""
        while self._waiting:
            event_id, (due_s, row) = next(iter(self._waiting.items()))
            if due_s > now_s and any(state in OPEN for state in row["to"].values()):
                return due_s
            del self._waiting[event_id]
            self._print(row)
        return None

    def flush(self) -> None:
        """Print everything that waits."""
        with contextlib.suppress(Finished):
            self.settle(float("inf"))

    def _print(self, row: dict[str, Any]) -> None:
        if self._limit is not None and self.count >= self._limit:
            raise Finished
        self._printed[row["event_id"]] = None
        if len(self._printed) > REMEMBERED:
            self._printed.popitem(last=False)
        self.count += 1
        if self._table:
            to = "  ".join(self.out.paint(f"{SIGNS.get(state, '?')} {printable(slug)}", state) for slug, state in row["to"].items())
            told = to if row["verdict"] == "accepted" else self.out.paint(f"{row['verdict']} {row['code'] or ''}", "fail")
            who = row["user_id"] or row["anonymous_id"] or ""
            self._line([row["at"][11:23], row["type"] or "", row["name"] or "", who, row["source"], told])
        else:
            click.echo(json.dumps(row, ensure_ascii=False))
            sys.stdout.flush()
        if self._limit is not None and self.count >= self._limit:
            raise Finished

    def _line(self, cells: list[str]) -> None:
        *plain, last = cells
        spare = max(0, shutil.get_terminal_size().columns - 120) // 2
        widths = [width + (spare if number in (2, 3) else 0) for number, width in enumerate(WIDTHS)]
        texts = [printable(cell)[:width].ljust(width) for cell, width in zip(plain, widths, strict=True)]
        self.out.line(" ".join([*texts, last]).rstrip())


class Tap:
    """Follows the rows over connections."""

    def __init__(self, remote: Remote, ast: dict[str, Any], past: int, printer: Printer, *, reconnect: bool) -> None:
        self._remote = remote
        self._ast = ast
        self._past = past
        self._printer = printer
        self._reconnect = reconnect
        self._position: dict[str, Any] | None = None
        self._newest = ""
        """When the newest row came in: after a gap, what is older was printed, or not wanted."""
        self._dropped = 0

    async def run(self, for_s: float | None) -> None:
        """Until `for_s` after the first connection, the limit is reached, or somebody interrupts."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                await self._run(limit, for_s)

    async def _run(self, limit: asyncio.Timeout, for_s: float | None) -> None:
        from relay.cli.live_client import Lost, connected, delay_s, refreshed, unreachable

        tries, seen = 0, False
        while True:
            try:
                async with connected(self._remote) as socket:
                    hello = await socket.receive()
                    await socket.send(t="subscribe", id=1, filter=self._ast, limit=CATCH_UP if seen else self._past, resume=self._position)
                    if not seen and for_s is not None:
                        limit.reschedule(asyncio.get_running_loop().time() + for_s)
                    tries, seen = 0, True
                    await self._follow(socket, hello)
            except Lost as lost:
                if not seen or not self._reconnect:
                    raise unreachable(self._remote, lost) from lost
                if not tries:
                    self._printer.out.talk(f"{lost}; trying again ...")
            await asyncio.sleep(delay_s(tries))
            tries += 1
            self._remote = refreshed(self._remote)

    async def _follow(self, socket: Any, hello: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        self._dropped = 0
        while True:
            due_s = self._printer.settle(loop.time())
            try:
                async with asyncio.timeout_at(due_s):
                    message = await socket.receive()
            except TimeoutError:
                continue
            await self._take(socket, message, hello, loop.time())

    async def _take(self, socket: Any, message: dict[str, Any], hello: dict[str, Any], now_s: float) -> None:
        kind, out = message["t"], self._printer.out
        if kind in ("snapshot", "rows"):
            if (
                kind == "snapshot"
                and message["gap"]
                and message["scanned"] >= hello["ring"]
                and all(row["at"] > self._newest for row in message["rows"])
            ):
                out.warn("the connection was lost for too long: events in between may be missing")
            for row in message["rows"]:
                if kind == "rows" or row["at"] >= self._newest:
                    self._printer.add(row, now_s)
            self._newest = max([self._newest, *(row["at"] for row in message["rows"])])
            self._printer.settle(now_s)
            seq = message.get("seq", max((row["seq"] for row in message["rows"]), default=hello["seq"]))
            self._position = {"epoch": hello["epoch"], "seq": seq}
            if kind == "rows":
                await socket.send(t="ack", seq=seq)
        elif kind == "patch":
            for patch in message["rows"]:
                self._printer.change(patch)
        elif kind == "drops":
            out.warn(f"{message['total'] - self._dropped} rows were dropped (slow client {message['slow_client']}, rate {message['rate_limited']})")
            self._dropped = message["total"]
        elif kind == "error":
            raise exits.Failure(exits.USAGE, message["text"])
