"""Times as JavaScript and LiquidJS read and print them; all in UTC."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from relay.kit.js import is_number
from relay.kit.moment import EPOCH, unix_ms

_CODE = re.compile(r"%([-_0^#:]+)?(\d+)?([EO])?(.)", re.DOTALL)
_MOST_SECONDS: Final = 8.64e12
"""JavaScript's last moment, in seconds."""


def parse_date(value: Any) -> datetime | None:
    """Seconds as number or digits, or a date in text; None for what is no time."""
    if is_number(value):
        return _from_seconds(value)
    if not isinstance(value, str):
        return None
    if value.isascii() and value.isdigit():
        return _from_seconds(float(value))
    ms = unix_ms(value)
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def _from_seconds(value: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(value, UTC) if abs(value) <= _MOST_SECONDS else None
    except (ValueError, OverflowError, OSError):
        return None


_WIDTHS: Final = {"d": 2, "e": 2, "H": 2, "I": 2, "j": 3, "k": 2, "l": 2, "L": 3, "m": 2, "M": 2, "S": 2, "U": 2, "W": 2, "y": 2}
_PADDED_BY_SPACE: Final = "aAbBceklpPqxXZ"


def strftime(moment: datetime, pattern: str, offset: Any = None) -> str:
    """Prints as LiquidJS: flags `-`, `_`, `0`, `^`, `#`, `:`, a width, and its codes; an unknown code stays as written."""
    minutes = -int(offset) if is_number(offset) else 0

    def fill(match: re.Match[str]) -> str:
        flags, width, _, code = match[1] or "", match[2], match[3], match[4]
        text = _coded(moment, code, flags, minutes, width)
        if text is None:
            return match[0]
        if "^" in flags:
            text = text.upper()
        elif "#" in flags:
            text = text.upper() if any(letter.islower() for letter in text) else text.lower()
        pad = " " if "_" in flags else "0" if "0" in flags else " " if code in _PADDED_BY_SPACE else "0"
        wide = 0 if "-" in flags else min(int(width), 1_000) if width else _WIDTHS.get(code, 0)
        return text.rjust(wide, pad)

    return _CODE.sub(fill, pattern)


def _coded(moment: datetime, code: str, flags: str, minutes: int, width: str | None) -> str | None:
    if code in "aAbBhpuUwWyYHMSdmj":
        text = moment.strftime(f"%{code}")
        if code == "Y":
            return str(moment.year)
        return str(int(text)) if text.isdigit() else text
    if code == "z":
        sign, size = "-" if minutes < 0 else "+", abs(minutes)
        return f"{sign}{size // 60:02d}{':' if ':' in flags else ''}{size % 60:02d}"
    hour = moment.hour % 12 or 12
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(moment.day % 10, "th") if moment.day not in (11, 12, 13) else "th"
    seconds = math.floor((moment - timedelta(minutes=minutes)).timestamp())
    digits = min(int(width or 9), 1_000)
    simple: dict[str, str] = {
        "e": str(moment.day), "k": str(moment.hour), "I": str(hour), "l": str(hour), "L": str(moment.microsecond // 1000),
        "N": f"{moment.microsecond // 1000:03d}"[:digits].ljust(digits, "0"), "P": "am" if moment.hour < 12 else "pm",
        "q": ordinal, "s": str(seconds), "C": str(moment.year // 100), "t": "\t", "n": "\n", "%": "%", "Z": "UTC",
        "c": f"{moment.month}/{moment.day}/{moment.year}, {hour}:{moment:%M:%S %p}", "x": f"{moment.month}/{moment.day}/{moment.year}",
        "X": f"{hour}:{moment:%M:%S %p}",
    }  # fmt: skip
    return simple.get(code)
