"""The bulk call that both actions share: a JSON array of events to the environment's address. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from relay.errors import Misconfigured
from relay.kit.definition import Delivery, Field
from relay.kit.moment import unix_ms
from relay.kit.post import post_json
from relay.kit.request import Request

EVENTS_HOST: Final = "events.launchdarkly.com"
HOST: Final = re.compile(r"(?=.{1,253}(?::\d+)?$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")
SCHEMA: Final = (("x-launchdarkly-event-schema", "4"),)
BATCH_SIZE: Final = 500

Event = dict[str, Any]
Make = Callable[[Delivery], Event]

TIMESTAMP: Final = Field(
    "timestamp", "Timestamp", type="datetime", default={"@path": "$.timestamp"}, help="When it happened; left out: the time of sending."
)
BATCHING: Final = (
    Field("enable_batching", "Batch events", type="boolean", help="Sends several events in one request."),
    Field("batch_size", "Batch size", type="integer", help="Most events in one request."),
)


def host_of(settings: Mapping[str, Any]) -> str:
    """Where events go."""
    return str(settings.get("events_host_name") or EVENTS_HOST)


def creation_date(delivery: Delivery) -> int:
    """Unix time in ms: the event's own, or that of sending."""
    own = unix_ms(delivery.fields.get("timestamp"))
    return round(delivery.sent_s * 1000) if own is None else own


def sender(make: Make) -> Callable[[Mapping[str, Any], Delivery], Request]:
    """`perform` of an action whose events `make` shapes."""
    return lambda settings, delivery: _request(settings, [make(delivery)])


def batch_sender(make: Make) -> Callable[[Mapping[str, Any], Sequence[Delivery]], Request]:
    """`perform_batch` of an action whose events `make` shapes."""
    return lambda settings, deliveries: _request(settings, [make(delivery) for delivery in deliveries])


def _request(settings: Mapping[str, Any], events: list[Event]) -> Request:
    client_id = settings.get("client_id")
    if not client_id:
        raise Misconfigured("the setting client_id is empty")
    return post_json(f"https://{host_of(settings)}/events/bulk/{quote(str(client_id), safe='')}", events, SCHEMA)
