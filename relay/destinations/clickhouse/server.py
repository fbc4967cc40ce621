"""Requests to the server's HTTP interface, and what its answers mean. Decided on the exception's number, never on its text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from relay.base.secret import Secret, reveal
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.request import Request, Response

SAMPLE_CHARS: Final = 300
_NUMBER = re.compile(rb"Code: (\d+)")
_LOGIN: Final = frozenset((192, 193, 194, 291, 492, 497, 516))
"""Unknown user, wrong or missing password, no access to a database or to this."""
_TABLES: Final = frozenset((15, 16, 36, 44, 47, 48, 57, 60, 62, 81, 82, 115, 164, 524))
"""Names and tables that are not as relay expects them, and what this server cannot do or may not do (read-only)."""
_OF_THE_EVENT: Final = frozenset((6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 469, 691))
"""A value that cannot be read, is out of range, or breaks a constraint."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the rows go, and how relay logs in."""

    url: str
    """Without a slash at its end."""
    user: str
    password: Secret

    @staticmethod
    def of(settings: Mapping[str, Any]) -> "Server":
        return Server(str(settings["url"]).rstrip("/"), str(settings.get("user") or "default"), Secret(reveal(settings.get("password"))))


def ask(server: Server, query: str, body: bytes = b"", **settings: str) -> Request:
    """A statement; `body`: the rows of an INSERT."""
    return _request(server, {"query": query, "wait_end_of_query": "1"} | settings, body)


def order(server: Server, statement: str) -> Request:
    """A statement that may be too long for an address."""
    return _request(server, {"wait_end_of_query": "1"}, statement.encode("utf-8", "surrogatepass"))


def _request(server: Server, parameters: Mapping[str, str], body: bytes) -> Request:
    headers = (
        ("X-ClickHouse-User", server.user),
        ("X-ClickHouse-Key", server.password.reveal()),
        ("Content-Type", "text/plain; charset=utf-8"),
    )
    return Request("POST", f"{server.url}/?{urlencode(parameters)}", headers, body, secrets=frozenset(("x-clickhouse-key",)))


def meaning_of(response: Response) -> DeliveryError | None:
    """None: the statement was carried out."""
    number = response.headers.get("x-clickhouse-exception-code", "")
    if not number and response.status != 200 and (found := _NUMBER.match(response.body)):
        number = found[1].decode()
    said = response.body[:SAMPLE_CHARS].decode("utf-8", "replace").strip()
    status = response.status
    if not number.isdecimal():
        return None if status == 200 else _without_number(status, said)
    code = int(number)
    if code in _LOGIN:
        return Misconfigured(f"the server refuses the login, or the user may not do this: {said}", code="credentials", status=status)
    if code in _TABLES:
        return Misconfigured(f"the server or its tables are not as relay needs them: {said}", status=status)
    if code in _OF_THE_EVENT:
        return Permanent(f"the server refuses the event: {said}", code="BAD_REQUEST", status=status)
    return Retryable(f"the server cannot write now: {said}", code="RETRY", status=status)


def _without_number(status: int, said: str) -> DeliveryError:
    """Somebody else answered: a proxy, or no ClickHouse at all."""
    if status in (401, 403):
        return Misconfigured(f"the server refuses the login: {status} {said}", code="credentials", status=status)
    if status in (408, 413, 425, 429) or status >= 500:
        return Retryable(f"the server cannot answer now: {status} {said}", code="RETRY", status=status)
    return Misconfigured(f"this is not the HTTP interface of ClickHouse: {status} {said}", status=status)
