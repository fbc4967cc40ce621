"""What one answer means. Pure; relay's only verdict table (reliability page 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from relay.errors import Misconfigured, PayloadError, Permanent, RelayError, Retryable
from relay.kit.request import Response

RETRY_AFTER_MAX_S: Final = 3600.0
_RETRIED_4XX: Final = frozenset((408, 423, 425, 429))
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
_HTTP_DATES: Final = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""RFC 9110: IMF-fixdate, RFC 850, asctime."""


class Kind(StrEnum):
    """What follows from an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    SPLIT = "split"
    """Send the batch again in halves, at once: one event of it is refused, or it is too large."""
    DEAD = "dead"
    HOLD = "hold"


@dataclass(slots=True)
class Verdict:
    """What one answer means; `sample` is the start of the answer, or the error's text."""

    kind: Kind
    code: str
    status: int | None
    retry_after_s: float | None
    duration_ms: float
    sample: bytes


def judge(answer: Response | Exception, *, batch: bool, retry_all: bool, now_s: float, sample_bytes: int = 2048) -> Verdict:
    """The verdict on one attempt; `batch`: it carried more than one event, `retry_all`: nothing that 4xx or 501 refuses is final."""
    if isinstance(answer, Response):
        kind, code = _of_status(answer.status, batch, retry_all)
        wait_s = retry_after_s(answer.headers, now_s) if kind is Kind.RETRY else None
        return Verdict(kind, code, answer.status, wait_s, answer.duration_ms, answer.body[:sample_bytes])
    kind, code = _of_error(answer, batch, retry_all)
    text = answer.message if isinstance(answer, RelayError) else f"{type(answer).__name__}: {answer}"
    sample = text.encode("utf-8", "replace")[:sample_bytes]
    status = getattr(answer, "status", None) if isinstance(answer, RelayError) else None
    wait = answer.retry_after_s if isinstance(answer, Retryable) else None
    return Verdict(kind, code, status, min(wait, RETRY_AFTER_MAX_S) if wait is not None and wait > 0 else None, 0.0, sample)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """How long `retry-after` asks to wait, at most an hour; None when it is absent, garbage, past or zero.

    A date counts from the answer's own `date`: their clock, not ours. Header names are lower case.
    """
    text = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(text):
        wait_s = float(text)
    else:
        until = _http_date(text)
        if until is None:
            return None
        theirs = _http_date(headers.get("date", "").strip())
        wait_s = until - (now_s if theirs is None else theirs)
    return min(wait_s, RETRY_AFTER_MAX_S) if wait_s > 0 else None


def _of_status(status: int, batch: bool, retry_all: bool) -> tuple[Kind, str]:
    if 200 <= status < 300:
        return Kind.DELIVERED, "delivered"
    if status in _RETRIED_4XX or (500 <= status < 600 and status != 501):
        return Kind.RETRY, str(status)
    if status in (401, 403):
        return Kind.HOLD, "credentials"
    if status == 410:
        return Kind.HOLD, "gone"
    if 300 <= status < 400:
        return Kind.DEAD, "redirect"
    if 400 <= status < 500 or status == 501:
        return _refused(batch, retry_all), str(status)
    return Kind.RETRY, "EPROTO"


def _of_error(error: Exception, batch: bool, retry_all: bool) -> tuple[Kind, str]:
    if isinstance(error, Retryable):
        return Kind.RETRY, error.code
    if isinstance(error, Misconfigured):
        return Kind.HOLD, error.code
    if isinstance(error, Permanent):
        return _refused(batch, retry_all), error.code
    if isinstance(error, TimeoutError):
        return Kind.RETRY, "ETIMEDOUT"
    code = error.code if isinstance(error, PayloadError) else "bug"
    return (Kind.SPLIT if batch else Kind.DEAD), code


def _refused(batch: bool, retry_all: bool) -> Kind:
    """Halve a batch first, to find the event that is refused."""
    return Kind.SPLIT if batch else Kind.RETRY if retry_all else Kind.DEAD


def _http_date(text: str) -> float | None:
    for form in _HTTP_DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
