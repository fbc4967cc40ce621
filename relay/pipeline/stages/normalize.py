"""The normalisation stage: a valid message becomes what every later room reads. Pure (the time of arrival is handed in), works in place.

It fills and mends, it never judges: ids become strings, the four times become one form, batch defaults go under the item's own values, and
the facts of the request fill `context` for client-side calls. Runs before the commit for each event, hence the plain code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from relay.base.event import FORWARDED_FROM

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_FRACTION_TEXTS = [f".{fraction_ms:03d}Z" for fraction_ms in range(1000)]
_FRACTION_US = {text: fraction_ms * 1000 for fraction_ms, text in enumerate(_FRACTION_TEXTS)}

BROWSER_LIBRARIES = frozenset({"analytics.js"})
MOBILE_LIBRARIES = frozenset(
    {
        "analytics-ios", "analytics-android", "analytics-kotlin", "analytics-swift", "analytics-react-native", "analytics-flutter",
        "@segment/analytics-react-native", "analytics_flutter",
    }
)  # fmt: skip


class Client(NamedTuple):
    """Facts of the request that brought the messages."""

    ip: str = ""
    user_agent: str = ""
    is_browser_side: bool = False
    """It came with an `Origin`, or is a pixel."""


@dataclass(slots=True, eq=False)
class Arrival:
    """What all messages of one request share. `context`, `integrations`: the batch's defaults, objects or None."""

    received_ms: int
    received_text: str
    client: Client
    context: dict[str, Any] | None
    integrations: dict[str, Any] | None
    sent_us: int | None
    sent_text: str
    new_id: Callable[[], str]


def normalize(message: dict[str, Any], arrival: Arrival) -> None:
    """Normalise a message that `validate.problem_of` found good."""
    get = message.get
    for field in ("userId", "anonymousId", "groupId", "previousId", "messageId"):
        value = get(field)
        if value.__class__ is str and value:
            continue
        if value is None or value == "":
            message.pop(field, None)
        elif value.__class__ is int or value.__class__ is float:
            message[field] = _number_text(value)
    if "messageId" not in message:
        message["messageId"] = arrival.new_id()
    message.pop("writeKey", None)
    message.pop(FORWARDED_FROM, None)  # whoever could write it would be judged by no plan
    if arrival.integrations is not None:
        own = get("integrations")
        message["integrations"] = {**arrival.integrations, **own} if own else arrival.integrations
    elif "integrations" in message and message["integrations"] is None:
        del message["integrations"]
    _fill_context(message, arrival)
    _set_times(message, arrival)
    message["version"] = 2


def _fill_context(message: dict[str, Any], arrival: Arrival) -> None:
    """`context.ip` and `userAgent` for client-side calls only: for a server library they would be the customer's own backend."""
    context: dict[str, Any] | None = message.get("context")
    if arrival.context is not None:
        context = message["context"] = merged(arrival.context, context or {})
    elif context is None:
        context = message["context"] = {}
    client, channel = arrival.client, "browser" if arrival.client.is_browser_side else "server"
    library = context.get("library")
    if library.__class__ is dict:
        name = library.get("name")
        if name.__class__ is str:
            channel = "browser" if name in BROWSER_LIBRARIES else "mobile" if name in MOBILE_LIBRARIES else channel
    if channel != "server" or context.get("direct") is True:
        if "ip" not in context and client.ip:
            context["ip"] = client.ip
        if "userAgent" not in context and client.user_agent:
            context["userAgent"] = client.user_agent
    if not message.get("channel"):
        message["channel"] = channel


def _set_times(message: dict[str, Any], arrival: Arrival) -> None:
    """timestamp = receivedAt - (sentAt - originalTimestamp): removes the device's clock skew, keeps imports of old events right."""
    get = message.get
    sent_us, sent_text = arrival.sent_us, arrival.sent_text
    if (text := get("sentAt")) is not None:
        own_us, own_text = parse_time(text)
        if own_us is not None:
            sent_us, sent_text = own_us, own_text
    original_us, original_text = None, ""
    if (text := get("originalTimestamp")) is not None:
        original_us, original_text = parse_time(text)
    if original_us is None and (text := get("timestamp")) is not None:
        original_us, original_text = parse_time(text)
    timestamp = arrival.received_text
    if original_us is None:
        message.pop("originalTimestamp", None)
    else:
        message["originalTimestamp"] = timestamp = original_text
        if sent_us is not None:
            try:
                timestamp = time_text((arrival.received_ms * 1000 - sent_us + original_us) // 1000)
            except OverflowError:
                timestamp = original_text
    if sent_us is None:
        message.pop("sentAt", None)
    else:
        message["sentAt"] = sent_text
    message["timestamp"] = timestamp
    message["receivedAt"] = arrival.received_text


def parse_time(text: Any) -> tuple[int | None, str]:
    """An ISO 8601 time as (Unix time in us, its UTC text with milliseconds); (None, "") when it is none. No offset: UTC."""
    try:
        if text.__class__ is str and (fraction := _FRACTION_US.get(text[19:])) is not None and (second_us := _second_us(text[:19])) is not None:
            return second_us + fraction, text  # what JavaScript prints is taken as it is
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        unix_us = (moment - EPOCH) // MICROSECOND
        return unix_us, time_text(unix_us // 1000)
    except (ValueError, TypeError, OverflowError):
        return None, ""


def time_text(unix_ms: int) -> str:
    """Unix time in ms as ISO 8601, UTC, with milliseconds; OverflowError outside of the years 1 to 9999."""
    second, fraction_ms = divmod(unix_ms, 1000)
    return _second_text(second) + _FRACTION_TEXTS[fraction_ms]


# The events of one second share what is before the point; to parse and print it anew would cost more than all other time work.


@lru_cache(maxsize=4096)
def _second_us(text: str) -> int | None:
    """Unix time in us of `YYYY-MM-DDTHH:MM:SS`, UTC; None when it has another form."""
    return None if text[4:11:3] != "--T" else (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // MICROSECOND


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).isoformat()[:19]


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `defaults`, objects merged key by key; a new object, its parts may be shared."""
    result = dict(defaults)
    for key, value in own.items():
        below = result.get(key)
        result[key] = merged(below, value) if below.__class__ is dict and value.__class__ is dict else value
    return result


def _number_text(value: float) -> str:
    """A number as JavaScript would put it into a string: 7.0 is "7"."""
    return str(int(value)) if value.__class__ is float and value.is_integer() and abs(value) < 1e21 else str(value)
