"""Heap: events, page and screen views, and the properties of users."""

from relay.destinations.heap.send import identify_user, track_event
from relay.kit.defaults import path
from relay.kit.definition import Action, Definition, Field, Preset, Setting

TRACKED = 'type = "track" or type = "page" or type = "screen"'
IDENTIFY = 'type = "identify"'

DEFINITION = Definition(
    slug="heap",
    name="Heap Cloud (Actions)",
    description="Sends events and user properties to Heap.",
    methods=frozenset(("track", "page", "screen", "identify")),
    settings=(
        Setting("appId", "App ID", required=True, help="The id of the environment, as in Heap's project settings."),
        Setting("region", "Region", choices=("US", "EU"), default="US"),
    ),
    actions={
        "trackEvent": Action(
            slug="trackEvent",
            title="Track event",
            description="An event, a page view or a screen view.",
            fields=(
                Field("message_id", "Message ID", required=True, default=path("messageId"), help="Heap's idempotency key."),
                Field(
                    "identity", "Identity", allow_null=True,
                    help="A known user. With it, the anonymous id and the user properties are set as well, in a request of their own.",
                ),
                Field("anonymous_id", "Anonymous ID", allow_null=True, default=path("anonymousId")),
                Field("event", "Event name", default=path("event")),
                Field("properties", "Properties", type="object", default=path("properties")),
                Field("timestamp", "Time", type="datetime", default=path("timestamp")),
                Field("type", "Kind of call", default=path("type")),
                Field("name", "Name of the page or screen", default=path("name")),
                Field("traits", "User properties", type="object", default=path("context.traits")),
            ),
            default_trigger=TRACKED,
            perform=track_event,
        ),
        "identifyUser": Action(
            slug="identifyUser",
            title="Identify user",
            description="Sets the properties of a known user.",
            fields=(
                Field("user_id", "Identity", allow_null=True, default=path("userId")),
                Field("anonymous_id", "Anonymous ID", allow_null=True, default=path("anonymousId")),
                Field("traits", "User properties", type="object", default=path("traits")),
            ),
            default_trigger=IDENTIFY,
            perform=identify_user,
        ),
    },
    presets=(
        Preset("Track Calls", "trackEvent", TRACKED),
        Preset("Identify Calls", "identifyUser", IDENTIFY),
    ),
)  # fmt: skip
