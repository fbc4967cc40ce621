"""Exit codes, and what each exception of relay means on the command line."""

import errno
import os
import sys
import tempfile
import traceback
from typing import Final

import click

from relay.errors import ConfigError, DamagedError, LockedError, RelayError, RequestError, StoreError

DONE: Final = 0
PROBLEMS: Final = 1
"""Finished, but found problems."""
USAGE: Final = 2
LOCKED: Final = 3
NO_MATCH: Final = 4
ENDED_DEAD: Final = 5
DAMAGED: Final = 65
UNREACHABLE: Final = 69
BUG: Final = 70
CANNOT_CREATE: Final = 73
IO_ERROR: Final = 74
NOT_ALLOWED: Final = 77
CONFIG_WRONG: Final = 78
INTERRUPTED: Final = 130


class Failure(click.ClickException):
    """A command ends with a message and an exit code of the table."""

    def __init__(self, exit_code: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = exit_code
        self.remedy = remedy


def report(error: BaseException) -> int:
    """Say on stderr what `error` means, and return the exit code for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else DONE if error.code is None else PROBLEMS
    if isinstance(error, KeyboardInterrupt | click.Abort | EOFError):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return report(error.exceptions[0])
    if isinstance(error, Failure):
        return _say(error.code, error.message, error.remedy)
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, ConfigError):
        return _config_wrong(error)
    if isinstance(error, RelayError | OSError):
        code = _code_of(error)
        if code != BUG:
            return _say(code, _message_of(error))
    return _bug(error)


def _code_of(error: RelayError | OSError) -> int:
    table: tuple[tuple[type[Exception], int], ...] = (
        (LockedError, LOCKED), (DamagedError, DAMAGED), (StoreError, IO_ERROR), (PermissionError, NOT_ALLOWED),
        (FileExistsError, CANNOT_CREATE), (OSError, IO_ERROR),
    )  # fmt: skip
    if isinstance(error, RequestError):
        return NOT_ALLOWED if error.status in (401, 403) else NO_MATCH if error.status == 404 else PROBLEMS
    return next((code for kind, code in table if isinstance(error, kind)), BUG)


def _message_of(error: RelayError | OSError) -> str:
    if isinstance(error, RelayError):
        return error.message
    if error.errno == errno.EADDRINUSE or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _say(code: int, message: str, remedy: str = "") -> int:
    click.echo(f"error: {message}", err=True)
    if remedy:
        click.echo(f"  {remedy}", err=True)
    return code


def _config_wrong(error: ConfigError) -> int:
    from relay.config.settings import format_problems

    click.echo(format_problems(error.problems).rstrip("\n"), err=True)
    click.echo(f"{count_of(len(error.problems), 'error')}. Nothing was started.", err=True)
    return CONFIG_WRONG


def count_of(count: int, noun: str) -> str:
    """`1 error`, `1,200 errors`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bug(error: BaseException) -> int:
    """Save the traceback where a person can find it; the terminal gets two lines."""
    text = "".join(traceback.format_exception(error))
    try:
        descriptor, path = tempfile.mkstemp(prefix="relay-traceback-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        sys.stderr.write(text)
        path = ""
    summary = next(iter(str(error).splitlines()), "")
    where = f"The traceback is saved in {path}" if path else "The traceback could not be saved and stands above"
    return _say(BUG, f"this is a bug in relay: {type(error).__name__}: {summary}".rstrip(": "), where)
