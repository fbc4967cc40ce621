"""Requests of the shapes that most APIs take: JSON and forms, with relay's name and, where it is asked for, Basic auth. Pure.

JSON is written as JavaScript prints it (`2.0` is `2`), which is what receivers made for Segment have always got.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from relay import __version__
from relay.base import jsonio
from relay.kit.request import Request

Headers = tuple[tuple[str, str], ...]

USER_AGENT: Final = ("user-agent", f"relay/{__version__}")
JSON_HEADERS: Final[Headers] = (("content-type", "application/json"), USER_AGENT)
FORM_HEADERS: Final[Headers] = (("content-type", "application/x-www-form-urlencoded;charset=UTF-8"), USER_AGENT)


def post_json(url: str, body: Any, headers: Headers = (), *, secrets: frozenset[str] = frozenset(), method: str = "POST") -> Request:
    """`body` as JSON; `secrets`: the names (lower case) of headers and query keys that are masked."""
    return Request(method, url, (*JSON_HEADERS, *headers), jsonio.js_dumps(body), secrets=secrets)


def post_form(url: str, pairs: Mapping[str, str], headers: Headers = (), *, secrets: frozenset[str] = frozenset()) -> Request:
    """`pairs` as a form; a value that is JSON comes as text (`json_text`)."""
    return Request("POST", url, (*FORM_HEADERS, *headers), urlencode(pairs).encode(), secrets=secrets)


def json_text(value: Any) -> str:
    """Compact JSON as JavaScript prints it."""
    return jsonio.js_dumps(value).decode()


def basic_auth(user: str, password: str = "") -> tuple[str, str]:
    """The `authorization` header; name it in the request's `secrets`."""
    return "authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
