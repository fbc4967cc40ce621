"""A custom event, counted by the metrics of the same key."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.launchdarkly.bulk import BATCH_SIZE, BATCHING, TIMESTAMP, Event, batch_sender, creation_date, sender
from relay.kit.definition import Action, Delivery, Field
from relay.kit.js import print_as_js


def custom_event(delivery: Delivery) -> Event:
    """The event as LaunchDarkly has it; every context key is a string."""
    fields = delivery.fields
    event: Event = {
        "kind": "custom",
        "key": fields["event_name"],
        "contextKeys": _context_keys(fields),
        "creationDate": creation_date(delivery),
        "data": fields.get("event_properties") or {},
    }
    if "metric_value" in fields:
        event["metricValue"] = fields["metric_value"]
    return event


def _context_keys(fields: Mapping[str, Any]) -> dict[str, str]:
    """Further kinds first: the main one wins where both give the same kind."""
    others = fields.get("additional_context_keys") or {}
    keys = {kind: print_as_js(value) for kind, value in others.items() if value is not None}
    return keys | {fields.get("context_kind") or "user": fields["user_key"]}


TRACK_EVENT = Action(
    slug="trackEvent",
    title="Track Event",
    description="Sends a custom event for experiments.",
    fields=(
        Field("context_kind", "Context kind", default="user", help="The kind of the main context."),
        Field(
            "user_key", "Context key", required=True,
            default={"@if": {"exists": {"@path": "$.userId"}, "then": {"@path": "$.userId"}, "else": {"@path": "$.anonymousId"}}},
            help="The key of the main context.",
        ),
        Field(
            "additional_context_keys", "Further context keys", type="object", default={"unauthenticatedUser": {"@path": "$.anonymousId"}},
            help="Context kind to context key.",
        ),
        Field("event_name", "Event name", required=True, default={"@path": "$.event"}, help="The key of the metric that counts it."),
        Field(
            "metric_value", "Metric value", type="number",
            default={
                "@if": {"exists": {"@path": "$.properties.revenue"}, "then": {"@path": "$.properties.revenue"}, "else": {"@path": "$.properties.value"}}
            },
            help="For numeric metrics.",
        ),
        Field("event_properties", "Event properties", type="object", default={"@path": "$.properties"}, help="Kept for data export only."),
        TIMESTAMP,
        *BATCHING,
    ),
    default_trigger='type = "track"',
    perform=sender(custom_event),
    perform_batch=batch_sender(custom_event),
    batch_size=BATCH_SIZE,
)  # fmt: skip
