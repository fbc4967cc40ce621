"""Track an event. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.destinations.iterable.api import (
    BATCHING,
    CAMPAIGN,
    EMAIL,
    LARGEST_BATCH,
    USER_ID,
    check_user,
    created_at,
    post,
    read_answer,
    with_dates,
)
from relay.kit.defaults import path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request

_AS_THEY_ARE: Final = ("email", "userId", "eventName", "id", "campaignId", "templateId")


def track_event(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event."""
    check_user(delivery.fields)
    return post(settings, "/api/events/track", _event(delivery.fields))


def track_events(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Several events, those of nobody left out; a single one goes alone."""
    if len(deliveries) == 1:
        return track_event(settings, deliveries[0])
    events = [_event(one.fields) for one in deliveries if one.fields.get("email") or one.fields.get("userId")]
    if not events:
        check_user(deliveries[0].fields)
    return post(settings, "/api/events/trackBulk", {"events": events})


def _event(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The event; its id lets Iterable know a repeat."""
    known = {name: fields[name] for name in _AS_THEY_ARE if name in fields}
    return known | {"dataFields": with_dates(fields.get("dataFields") or {})} | created_at(fields)


TRACK_EVENT: Final = Action(
    slug="trackEvent",
    title="Track an event",
    description="Sends a track call as a custom event.",
    fields=(
        EMAIL,
        USER_ID,
        Field("eventName", "Event", required=True, default=path("event")),
        Field("dataFields", "Data fields", type="object", default=path("properties")),
        Field("id", "Id", default=path("messageId"), help="By which a repeat is known: it replaces the earlier one."),
        Field("createdAt", "Time", type="datetime", default=path("timestamp")),
        *CAMPAIGN,
        *BATCHING,
    ),
    default_trigger='type = "track" and event != "Order Completed" and event != "Cart Updated"',
    perform=track_event,
    perform_batch=track_events,
    read_answer=read_answer,
    batch_size=LARGEST_BATCH,
)
