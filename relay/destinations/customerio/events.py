"""What people do: events, pages, screens. Pure."""

from typing import Any, Final

from relay.destinations.customerio.api import CONVERT, Fields, Operation, action, operation
from relay.destinations.customerio.people import ANONYMOUS
from relay.kit.defaults import path
from relay.kit.definition import Field

OTHERS: Final = (
    "Application Installed", "Application Opened", "Application Uninstalled", "Device Created or Updated", "Device Deleted", "Relationship Deleted",
    "User Deleted", "User Suppressed", "User Unsuppressed", "Object Deleted", "Report Delivery Event", "Report Content Event",
)  # fmt: skip
"""Events that other actions take."""
TRACK: Final = 'type = "track"' + "".join(f' and event != "{name}"' for name in OTHERS)


def _did(name: str, what: str, fields: Fields) -> Operation:
    """`what`: the field that holds the name."""
    who: dict[str, Any] = {key: fields[key] for key in ("anonymous_id", "timestamp", "convert_timestamp") if key in fields}
    who["person_id"] = fields.get("id")
    return operation("person", name, who, {"name": fields[what], "id": fields.get("event_id"), "attributes": fields.get("data")})


def track_event(fields: Fields) -> Operation:
    """An event; its id lets Customer.io know a repeat."""
    return _did("event", "name", fields)


def track_page(fields: Fields) -> Operation:
    """A page view, named by its URL."""
    return _did("page", "url", fields)


def track_screen(fields: Fields) -> Operation:
    """A screen view."""
    return _did("screen", "name", fields)


PERSON: Final = Field("id", "Person", default=path("userId"), help="Id of the person: their id, e-mail address, or cio_ id.")
EVENT_ID: Final = Field("event_id", "Event id", default=path("messageId"), help="By which a repeat is known.")
TIME: Final = Field("timestamp", "Time", default=path("timestamp"), help="When it happened.")
DATA: Final = Field("data", "Attributes", type="object", default=path("properties"), help="Attributes of the event.")

ACTIONS: Final = (
    action(
        "trackEvent", "Track an event", "Sends a track call.", TRACK, track_event,
        (PERSON, ANONYMOUS, Field("name", "Event", required=True, default=path("event")), EVENT_ID, TIME, DATA, CONVERT),
    ),
    action(
        "trackPageView", "Track a page view", "Sends a page call.", 'type = "page"', track_page,
        (PERSON, ANONYMOUS, EVENT_ID, Field("url", "URL", required=True, default=path("properties.url")), TIME, DATA, CONVERT),
    ),
    action(
        "trackScreenView", "Track a screen view", "Sends a screen call.", 'type = "screen"', track_screen,
        (PERSON, ANONYMOUS, EVENT_ID, Field("name", "Screen", required=True, default=path("name")), TIME, DATA, CONVERT),
    ),
)  # fmt: skip
