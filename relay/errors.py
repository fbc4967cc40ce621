"""Every exception class of relay: one flat tree, the docstring is the default message, `code` is stable.

Decide on the class, never on the text. What follows from each class: README, "Errors".
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the configuration something stands; `line` and `column` count from 1, `column` 0 = whole line."""

    file: str
    line: int
    column: int = 0
    text: str = ""
    """The line itself, for the caret under it."""
    width: int = 1
    """How many characters the caret marks."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: what is wrong, where, and how to mend it."""

    message: str
    place: Place | None = None
    remedy: str = ""


class RelayError(Exception):
    """relay failed."""

    code = "internal"

    def __init__(self, message: str = "", *, code: str = "") -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        if code:
            self.code = code
        super().__init__(self.message)


class ConfigError(RelayError):
    """The configuration is wrong."""

    code = "config"

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = [Problem(problems)] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


class PlanError(ConfigError):
    """The tracking plan is wrong."""

    def __init__(self, mistakes: Sequence[tuple[str, Problem]]) -> None:
        """`mistakes`: each with its JSON pointer in the plan's content."""
        self.mistakes = list(mistakes)
        super().__init__([problem for _, problem in mistakes])


class RequestError(RelayError):
    """The request is wrong."""

    def __init__(self, status: int, code: str, message: str = "", *, place: Place | None = None) -> None:
        """`place`: what in the configuration stands against it."""
        self.status = status
        self.place = place
        super().__init__(message, code=code)


class FilterError(RelayError):
    """The filter is wrong."""

    code = "bad_filter"

    def __init__(self, message: str = "", at: int | None = None) -> None:
        """`at`: the position (from 0) in the text of the filter; None: it came as a tree."""
        self.at = at
        super().__init__(message)


class Overloaded(RelayError):
    """relay is full; try again later."""

    code = "overloaded"

    def __init__(self, retry_after_s: int = 1, message: str = "") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class StoreError(RelayError):
    """The database cannot be written."""

    code = "unavailable"

    def __init__(self, message: str = "", *, retry_after_s: int = 30, code: str = "") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, code=code)


class DamagedError(StoreError):
    """The database is damaged, or was made by a newer relay."""

    code = "damaged"


class LockedError(RelayError):
    """Another relay holds the data folder."""

    code = "locked"


class DeliveryError(RelayError):
    """A delivery failed."""

    status: int | None = None

    def __init__(self, message: str = "", *, code: str = "", status: int | None = None, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message, code=code)


class Retryable(DeliveryError):
    """The receiver could not be reached, or asks for another try."""

    code = "RETRY"


class Permanent(DeliveryError):
    """The receiver refuses this payload."""

    code = "BAD_REQUEST"


class Misconfigured(DeliveryError):
    """The destination as a whole is set up wrongly; its entries wait."""

    code = "INVALID_SETTINGS"


class PayloadError(RelayError):
    """The event does not fit the fields of the action."""

    code = "PAYLOAD_VALIDATION_FAILED"

    def __init__(self, message: str = "", *, field: str = "") -> None:
        self.field = field
        super().__init__(message)


class EncryptionError(RelayError):
    """A value could not be encrypted or decrypted."""

    code = "FAILED_DATA_ENCRYPTION"
