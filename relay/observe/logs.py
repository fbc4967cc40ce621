"""What relay prints about itself: one line per fact, secrets masked, values cut, and a failed write never raises.

`configure` is called once, by the command that serves. Lines of the standard library's `logging` (aiohttp, asyncio) go the same way.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import orjson
import structlog

from relay.base.secret import MASK

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
FORMATS: Final = ("auto", "console", "json")
VALUE_CHARS: Final = 1024
TRACEBACK_CHARS: Final = 16 * 1024
DEPTH: Final = 8
ITEMS: Final = 64

_SENSITIVE = re.compile(r"authorization|password|secret|token|api[_-]?key|cookie|write[_-]?key", re.IGNORECASE)
_OWN_KEYS: Final = frozenset(("event", "level", "timestamp", "logger"))
_UNSAFE = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_ESCAPES: Final = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSAFE}
"""C0 and C1 controls, and the characters that turn the direction of text around."""
_TRACEBACK_ESCAPES: Final = {code: text for code, text in _ESCAPES.items() if code not in (0x09, 0x0A)}

EventDict = structlog.typing.EventDict


class LineLogger:
    """Writes finished lines; what cannot be written is dropped, since a log that fails must not stop deliveries."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def msg(self, line: str) -> None:
        try:
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # disk full, closed pipe; ValueError: the stream was closed
            return

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class StandardLines(logging.Handler):
    """Takes the lines of libraries that log with the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(f"library.{record.name}")
        write = log.error if record.levelno >= logging.ERROR else log.warning if record.levelno >= logging.WARNING else log.info
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a library whose arguments do not fit its own format
            message = str(record.msg)
        write("library.reported", message=message, exc_info=record.exc_info or None)


def configure(level: str = "info", form: str = "auto", *, stream: TextIO | None = None, cache: bool = True) -> None:
    """Set up structlog and the root logger. `form`: `auto` is console on a terminal, else JSON.

    `cache`: loggers keep what they were bound to at their first line (fast); tests that configure twice switch it off.
    """
    out = stream or sys.stdout
    console = form == "console" or (form == "auto" and _is_terminal(out))
    structlog.configure(
        processors=[
            _add_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            *(
                [escape_controls, structlog.dev.ConsoleRenderer(colors=_is_terminal(out), exception_formatter=structlog.dev.plain_traceback)]
                if console
                else [_render_json]
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *names: LineLogger(out, str(names[0]) if names else "relay"),
        cache_logger_on_first_use=cache,
    )
    root = logging.getLogger()
    root.handlers[:] = [StandardLines()]
    root.setLevel(logging.INFO if level == "debug" else max(LEVELS[level], logging.WARNING))


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _add_name(logger: Any, _: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def redact(_: Any, __: str, event: EventDict) -> EventDict:
    """Mask what is secret by its key, at any depth; cut long values; leave nothing that a renderer cannot print."""
    for key, value in event.items():
        if key == "exception":
            event[key] = _cut_traceback(str(value))
        elif key in _OWN_KEYS:
            event[key] = _clean_text(value) if isinstance(value, str) else _clean_text(str(value))
        else:
            event[key] = _clean(key, value, DEPTH)
    return event


def _clean(key: str, value: Any, depth: int) -> Any:
    if _SENSITIVE.search(key):
        return MASK if value not in (None, "", b"") else value
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)[:VALUE_CHARS]
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, bytes | bytearray):
        return _clean_text(bytes(value[: VALUE_CHARS + 1]).decode("utf-8", "replace"))
    if depth == 0:
        return "..."
    if isinstance(value, Mapping):
        return {_clean_text(str(name)): _clean(str(name), item, depth - 1) for name, item in list(value.items())[:ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        return _clean_items(list(value)[:ITEMS], depth)
    return _clean_text(str(value))


def _clean_items(items: list[Any], depth: int) -> list[Any]:
    """A (name, value) pair, as headers come, is masked by its name."""
    if len(items) == 2 and isinstance(items[0], str) and _SENSITIVE.search(items[0]):
        return [_clean_text(items[0]), MASK]
    return [_clean("", item, depth - 1) for item in items]


def _clean_text(text: str) -> str:
    if len(text) > VALUE_CHARS:
        text = text[:VALUE_CHARS] + "..."
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _cut_traceback(text: str) -> str:
    """The end of a traceback says what happened, so the beginning is cut."""
    text = text if len(text) <= TRACEBACK_CHARS else "..." + text[-TRACEBACK_CHARS:]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def escape_controls(_: Any, __: str, event: EventDict) -> EventDict:
    """Show control characters instead of sending them to the terminal (`\\x1b` could rewrite the screen)."""
    return {_escape(key): value.translate(_TRACEBACK_ESCAPES) if key == "exception" else _escape(value) for key, value in event.items()}


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, dict):
        return {_escape(key): _escape(item) for key, item in value.items()}
    return [_escape(item) for item in value] if isinstance(value, list) else value


def _render_json(_: Any, __: str, event: EventDict) -> str:
    return orjson.dumps(event).decode()
