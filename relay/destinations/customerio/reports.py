"""What became of a message: its delivery, and what was done with in-app content. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.customerio.api import BATCHING, CONVERT, Fields, Operation, action, operation, post
from relay.destinations.customerio.events import DATA, TIME
from relay.destinations.customerio.people import ANONYMOUS
from relay.kit.defaults import path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.moment import unix_ms
from relay.kit.request import Request

METRICS: Final = ("delivered", "opened", "clicked", "converted", "spammed", "bounced", "dropped", "deferred")
_PLAIN: Final = ("recipient", "reason", "href")
_METADATA: Final = ("action_name", "action_value")


def report_delivery(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One metric of one message; it goes to the first version of the API, which takes no batches."""
    fields = delivery.fields
    ms = unix_ms(fields.get("timestamp"))
    body: dict[str, Any] = {"delivery_id": fields["delivery_id"], "metric": fields["metric"]}
    body["timestamp"] = int(delivery.sent_s) if ms is None else ms // 1000
    body |= {name: fields[name] for name in _PLAIN if fields.get(name)}
    metadata = {name: fields[name] for name in _METADATA if fields.get(name)}
    return post(settings, "/api/v1/metrics", body | ({"metadata": metadata} if metadata else {}))


def report_content(fields: Fields) -> Operation:
    """An anonymous person's look at, or click on, in-app content."""
    name = fields["actionType"]
    data = fields.get("data")
    attributes = None if data is None else {key: value for key, value in data.items() if key != "actionType" or not value}
    return operation("person", name, fields, {"name": name, "attributes": attributes})


ACTIONS: Final = (
    Action(
        slug="reportDeliveryEvent",
        title="Report a delivery",
        description="Tells what became of a message that Customer.io sent.",
        fields=(
            Field("delivery_id", "Delivery", required=True, default=path("properties.deliveryId"), help="CIO-Delivery-ID of the message."),
            Field("metric", "Metric", required=True, choices=METRICS, default=path("properties.metric")),
            Field("recipient", "Recipient", default=path("properties.recipient"), help="Address or token of the person."),
            Field("reason", "Reason", default=path("properties.reason"), help="Of a metric that is a failure."),
            Field("href", "Link", default=path("properties.href"), help="What was clicked."),
            Field("action_name", "Action name", default=path("properties.actionName"), help="Of an in-app message."),
            Field("action_value", "Action value", default=path("properties.actionValue"), help="Of an in-app message."),
            Field("timestamp", "Time", type="datetime", format="date-time", default=path("timestamp")),
            *BATCHING,
        ),
        default_trigger='event = "Report Delivery Event"',
        perform=report_delivery,
    ),
    action(
        "reportContentEvent", "Report a content event", "Tells what an anonymous person did with in-app content.", 'event = "Report Content Event"',
        report_content,
        (
            ANONYMOUS,
            Field(
                "actionType", "What was done", required=True, choices=("viewed_content", "clicked_content"), default=path("properties.actionType"),
            ),
            TIME,
            DATA,
            CONVERT,
        ),
    ),
)  # fmt: skip
