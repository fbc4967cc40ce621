"""Reads the requests of the console: bodies, numbers and lists of the right type, or 400 with the name of what is wrong."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from relay.base import jsonio
from relay.errors import RequestError
from relay.outbox.interface import Selection

SEQ_MAX = 2**63 - 1


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object of the body; an empty body is an empty object."""
    body = await request.read()
    try:
        value = jsonio.loads(body) if body else {}
    except ValueError as error:
        raise RequestError(400, "bad_json", "The body is not JSON.") from error
    if not isinstance(value, dict):
        raise RequestError(400, "bad_json", "The body is not a JSON object.")
    return value


def text_of(given: Mapping[str, Any], name: str, default: str = "") -> str:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _wrong(name, "a string")
    return value


def number_of(given: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    """A number that is finite and not negative; also as text, since query parameters are."""
    value = given.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value) if not isinstance(value, bool | list | dict) else -1.0
    except ValueError as error:
        raise _wrong(name, "a number") from error
    if not 0 <= number < 1e12:
        raise _wrong(name, "a number that is not negative")
    return number


def flag_of(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def selection_of(given: Mapping[str, Any]) -> Selection:
    """Which dead letters a request means: {code, since_s, until_s, message_ids, ids}; `ids` are those of `GET dead`."""
    ids, message_ids = given.get("ids") or [], given.get("message_ids") or []
    if not isinstance(ids, list) or not all(isinstance(one, int) and not isinstance(one, bool) and 0 < one <= SEQ_MAX for one in ids):
        raise _wrong("ids", "a list of ids")
    if not isinstance(message_ids, list) or not all(isinstance(one, str) for one in message_ids):
        raise _wrong("message_ids", "a list of strings")
    return Selection(tuple(ids), tuple(message_ids), text_of(given, "code"), number_of(given, "since_s"), number_of(given, "until_s"))


def condition_of(given: Mapping[str, Any]) -> str:
    """The `filter` of a request; absent or null: none. One that is there and empty is refused: it would select everything."""
    text = text_of(given, "filter")
    if not text.strip() and given.get("filter") is not None:
        raise RequestError(400, "bad_filter", "The filter is empty; leave it out to take everything.")
    return text


def refuse_unknown(given: Mapping[str, Any], known: frozenset[str]) -> None:
    """A misspelled condition would select too much."""
    if unknown := sorted(set(given) - known):
        raise RequestError(400, "bad_request", f"Unknown: {', '.join(unknown)}.")


def _wrong(name: str, wanted: str) -> RequestError:
    return RequestError(400, "bad_request", f"{name} must be {wanted}.")
