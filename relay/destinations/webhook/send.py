"""The request of a webhook: body, signatures, headers. Pure.

Promises: the whole event goes out as the bytes that were stored, unless JavaScript would print a number otherwise, since
receivers made for Segment sign what JavaScript prints; what a mapping gives can neither split headers nor bend the framing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from relay import __version__
from relay.base import jsonio
from relay.base.ids import batch_key
from relay.base.secret import reveal
from relay.errors import Misconfigured, PayloadError
from relay.kit.definition import Delivery
from relay.kit.js import kind_of, print_as_js
from relay.kit.request import Request
from relay.kit.signature import segment_signature, standard_webhooks
from relay.kit.url import url_problem

METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
DEFAULT_HEADERS: Final[tuple[tuple[str, str], ...]] = (("content-type", "application/json"), ("user-agent", f"relay/{__version__}"))
SIGNATURES = frozenset(("x-signature", "webhook-signature"))

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile(r"[\r\n\0]")
_OURS = frozenset((*SIGNATURES, "webhook-id", "webhook-timestamp", "content-length", "transfer-encoding", "connection"))
"""Headers that a mapping may not set: they are signatures, or they frame the request."""
_SECRET_NAME = re.compile(r"auth|token|key|secret|passw|cookie|signature|credential", re.IGNORECASE)


def send(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event, one request."""
    body = _body(delivery)
    return _request(settings, delivery, lambda: delivery.key, body, body)


def send_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """A JSON array; `X-Signature` covers its first item only, as Segment's does, Standard Webhooks all that is sent."""
    bodies = [_body(delivery) for delivery in deliveries]
    body = b"[" + b",".join(bodies) + b"]"
    return _request(settings, deliveries[0], lambda: batch_key([delivery.key for delivery in deliveries]), body, bodies[0])


def signing_secrets(settings: Mapping[str, Any]) -> list[str]:
    """The secrets of Standard Webhooks: one, or a list while keys are rotated."""
    value = settings.get("signingSecret")
    if not value:
        return []
    values = value if isinstance(value, list | tuple) else [value]
    return [reveal(item) for item in values]


def _body(delivery: Delivery) -> bytes:
    data, event = delivery.fields.get("data", {}), delivery.event
    return event.printed if data is event.payload else jsonio.js_dumps(data)


def _request(settings: Mapping[str, Any], delivery: Delivery, make_key: Callable[[], str], body: bytes, signed: bytes) -> Request:
    """`make_key` gives the id of what is sent; asked for only when it is signed with it."""
    fields = delivery.fields
    url = fields.get("url") or settings.get("url")
    if not url:
        raise Misconfigured("the webhook has no URL: give the setting url, or the field url in the mapping")
    problem, secrets = _look_at(url)
    if problem:
        raise PayloadError(f'field "url": {problem}', field="url")
    headers = DEFAULT_HEADERS
    given = fields.get("headers")
    if given:
        headers = _headers(given)
        secrets = secrets.union(name.lower() for name, _ in headers if _SECRET_NAME.search(name))
    shared, signing = reveal(settings.get("sharedSecret")), signing_secrets(settings)
    if shared:
        headers = (*headers, ("X-Signature", segment_signature(shared, signed)))
    if signing:
        stamp, key = int(delivery.sent_s), make_key()
        signature = standard_webhooks(signing, key, stamp, body)
        headers = (*headers, ("webhook-id", key), ("webhook-timestamp", str(stamp)), ("webhook-signature", signature))
    return Request(fields.get("method") or "POST", url, headers, body, secrets=secrets)


@lru_cache(maxsize=1024)
def _look_at(url: str) -> tuple[str, frozenset[str]]:
    """What is wrong with a URL, and what is masked when a request to it is shown."""
    problem = url_problem(url)
    if problem:
        return problem, SIGNATURES
    names = (name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return "", SIGNATURES.union(name for name in names if _SECRET_NAME.search(name))


def _headers(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The default headers, with the mapping's in their place or behind them."""
    mine: dict[str, tuple[str, str]] = {}
    for name, value in given.items():
        if value is None:
            continue
        if not _NAME.fullmatch(name):
            raise PayloadError('field "headers": a header\'s name holds a character that is not allowed', field="headers")
        if name.lower() in _OURS:
            raise PayloadError(f'field "headers": relay sets the header "{name}" itself', field="headers")
        if isinstance(value, Mapping | list):
            raise PayloadError(f'field "headers": the value of "{name}" must be a string, got {kind_of(value)}', field="headers")
        text = print_as_js(value)
        if _BREAKS.search(text):
            raise PayloadError(f'field "headers": the value of "{name}" holds a line break or NUL', field="headers")
        mine[name.lower()] = (name, text)
    return (*(pair for pair in DEFAULT_HEADERS if pair[0] not in mine), *mine.values())
