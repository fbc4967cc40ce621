"""Times on the command line: `30m`, `24h`, `7d` (ago) or an ISO time; and how times and spans are printed."""

import re
from datetime import UTC, datetime
from typing import Any, Final

import click

from relay.base.clock import SystemClock

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_span_s(text: str) -> float:
    """Seconds of a span: `90s`, `30m`, `24h`, `7d`, `1h30m`. Raises ValueError."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no span such as 30m, 24h or 7d")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def parse_moment_s(text: str, now_s: float) -> float:
    """Unix time of a span before now, or of an ISO time (UTC when it names no zone). Raises ValueError."""
    try:
        return now_s - parse_span_s(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a span such as 30m, 24h or 7d, nor a time such as 2026-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Moment(click.ParamType[float]):
    """A point in time, as unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_moment_s(str(value), SystemClock().now())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Span(click.ParamType[float]):
    """A length of time, as seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            return parse_span_s(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def show_moment(unix_s: float | None) -> str:
    """`2026-01-31 12:00:00Z`, or a dash."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if unix_s else "-"


def show_span(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2.0 d`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
