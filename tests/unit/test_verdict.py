"""What answers and errors mean, as a table."""

import pytest

from relay.delivery.verdict import Kind, judge, retry_after_s
from relay.errors import Misconfigured, PayloadError, Permanent, Retryable
from relay.kit.request import Response

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

STATUSES = [
    # status, alone, in a batch, alone with retry_all, code
    (200, Kind.DELIVERED, Kind.DELIVERED, Kind.DELIVERED, "delivered"),
    (202, Kind.DELIVERED, Kind.DELIVERED, Kind.DELIVERED, "delivered"),
    (204, Kind.DELIVERED, Kind.DELIVERED, Kind.DELIVERED, "delivered"),
    (301, Kind.DEAD, Kind.DEAD, Kind.DEAD, "redirect"),
    (304, Kind.DEAD, Kind.DEAD, Kind.DEAD, "redirect"),
    (400, Kind.DEAD, Kind.SPLIT, Kind.RETRY, "400"),
    (401, Kind.HOLD, Kind.HOLD, Kind.HOLD, "credentials"),
    (403, Kind.HOLD, Kind.HOLD, Kind.HOLD, "credentials"),
    (404, Kind.DEAD, Kind.SPLIT, Kind.RETRY, "404"),
    (408, Kind.RETRY, Kind.RETRY, Kind.RETRY, "408"),
    (410, Kind.HOLD, Kind.HOLD, Kind.HOLD, "gone"),
    (413, Kind.DEAD, Kind.SPLIT, Kind.RETRY, "413"),
    (422, Kind.DEAD, Kind.SPLIT, Kind.RETRY, "422"),
    (423, Kind.RETRY, Kind.RETRY, Kind.RETRY, "423"),
    (425, Kind.RETRY, Kind.RETRY, Kind.RETRY, "425"),
    (429, Kind.RETRY, Kind.RETRY, Kind.RETRY, "429"),
    (500, Kind.RETRY, Kind.RETRY, Kind.RETRY, "500"),
    (501, Kind.DEAD, Kind.SPLIT, Kind.RETRY, "501"),
    (503, Kind.RETRY, Kind.RETRY, Kind.RETRY, "503"),
    (599, Kind.RETRY, Kind.RETRY, Kind.RETRY, "599"),
    (101, Kind.RETRY, Kind.RETRY, Kind.RETRY, "EPROTO"),
    (999, Kind.RETRY, Kind.RETRY, Kind.RETRY, "EPROTO"),
]


@pytest.mark.parametrize(("status", "alone", "batch", "retry_all", "code"), STATUSES)
def test_each_status_has_one_meaning(status: int, alone: Kind, batch: Kind, retry_all: Kind, code: str) -> None:
    answer = Response(status, body=b"x" * 3000, duration_ms=7.0)
    verdict = judge(answer, batch=False, retry_all=False, now_s=NOW_S)
    assert (verdict.kind, verdict.code, verdict.status, verdict.duration_ms, len(verdict.sample)) == (alone, code, status, 7.0, 2048)
    assert judge(answer, batch=True, retry_all=False, now_s=NOW_S).kind is batch
    assert judge(answer, batch=False, retry_all=True, now_s=NOW_S).kind is retry_all


ERRORS: list[tuple[Exception, Kind, Kind, str]] = [
    (Retryable("late", code="ETIMEDOUT"), Kind.RETRY, Kind.RETRY, "ETIMEDOUT"),
    (TimeoutError(), Kind.RETRY, Kind.RETRY, "ETIMEDOUT"),
    (Permanent("no", status=400), Kind.DEAD, Kind.SPLIT, "BAD_REQUEST"),
    (Misconfigured("private", code="blocked_address"), Kind.HOLD, Kind.HOLD, "blocked_address"),
    (PayloadError("no email", field="email"), Kind.DEAD, Kind.SPLIT, "PAYLOAD_VALIDATION_FAILED"),
    (KeyError("oops"), Kind.DEAD, Kind.SPLIT, "bug"),
]


@pytest.mark.parametrize(("error", "alone", "batch", "code"), ERRORS)
def test_each_error_class_has_one_meaning(error: Exception, alone: Kind, batch: Kind, code: str) -> None:
    verdict = judge(error, batch=False, retry_all=False, now_s=NOW_S)
    assert (verdict.kind, verdict.code) == (alone, code)
    assert verdict.sample or isinstance(error, TimeoutError)
    assert judge(error, batch=True, retry_all=False, now_s=NOW_S).kind is batch


def test_an_error_carries_its_status_and_wait() -> None:
    verdict = judge(Retryable("slow down", status=403, retry_after_s=9000), batch=False, retry_all=False, now_s=NOW_S)
    assert (verdict.status, verdict.retry_after_s, verdict.sample) == (403, 3600, b"slow down")


def test_the_wait_is_read_on_retries_only() -> None:
    headers = {"retry-after": "30"}
    assert judge(Response(500, headers), batch=False, retry_all=False, now_s=NOW_S).retry_after_s == 30
    assert judge(Response(404, headers), batch=False, retry_all=False, now_s=NOW_S).retry_after_s is None


WAITS = [
    ("30", None, 30.0),
    (" 1.5 ", None, 1.5),
    ("0", None, None),
    ("-5", None, None),
    ("", None, None),
    ("soon", None, None),
    ("1e5", None, None),
    ("inf", None, None),
    ("nan", None, None),
    ("٣", None, None),
    ("9" * 5000, None, 3600.0),
    ("86400", None, 3600.0),
    ("Tue, 14 Nov 2023 22:14:20 GMT", None, 60.0),
    ("Tuesday, 14-Nov-23 22:14:20 GMT", None, 60.0),
    ("Tue Nov 14 22:14:20 2023", None, 60.0),
    ("Sun Nov  6 08:49:37 1994", None, None),
    ("Tue, 14 Nov 2023 22:13:20 GMT", None, None),
    ("Wed, 15 Nov 2023 22:13:20 GMT", None, 3600.0),
    ("Tue, 14 Nov 2023 23:00:30 GMT", "Tue, 14 Nov 2023 23:00:00 GMT", 30.0),  # their clock is ahead
    ("Tue, 14 Nov 2023 22:14:20 GMT", "yesterday", 60.0),
    ("Tue, 99 Nov 2023 22:14:20 GMT", None, None),
]


@pytest.mark.parametrize(("text", "date", "expected"), WAITS)
def test_retry_after_is_read_as_servers_write_it(text: str, date: str | None, expected: float | None) -> None:
    headers = {"retry-after": text} | ({"date": date} if date else {})
    assert retry_after_s(headers, NOW_S) == expected


def test_no_header_asks_for_no_wait() -> None:
    assert retry_after_s({}, NOW_S) is None
