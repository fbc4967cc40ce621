"""FullStory: events and users, by its server API version 2."""

from relay.destinations.fullstory.send import delete_user, identify_user, probe, track_event
from relay.kit.defaults import path
from relay.kit.definition import Action, Definition, Field, Preset, Setting

TRACK = 'type = "track"'
IDENTIFY = 'type = "identify"'

DEFINITION = Definition(
    slug="fullstory",
    name="Fullstory Cloud Mode (Actions)",
    description="Sends events and user properties to FullStory.",
    methods=frozenset(("track", "identify")),
    settings=(Setting("apiKey", "API key", required=True, secret=True, help="Settings, API Keys; a key that starts with eu1. goes to the EU."),),
    actions={
        "trackEventV2": Action(
            slug="trackEventV2",
            title="Track event",
            description="An event of a user, if wanted within a session.",
            fields=(
                Field("userId", "User ID", default=path("userId")),
                Field("name", "Event name", required=True, default=path("event")),
                Field("properties", "Properties", type="object", default=path("properties")),
                Field("timestamp", "Time", type="datetime", default=path("timestamp")),
                Field("useRecentSession", "Use the recent session", type="boolean", help="Attaches the event to the user's session of the last 30 minutes."),
                Field("sessionUrl", "Session URL", help="The address of the session's replay, where it is known."),
            ),
            default_trigger=TRACK,
            perform=track_event,
        ),
        "identifyUserV2": Action(
            slug="identifyUserV2",
            title="Identify user",
            description="Makes a user, or sets the properties of one.",
            fields=(
                Field("uid", "User ID", default=path("userId")),
                Field("anonymousId", "Anonymous ID", default=path("anonymousId"), help="Kept as the property segmentAnonymousId."),
                Field("displayName", "Display name", default=path("traits.name")),
                Field("email", "E-mail", default=path("traits.email")),
                Field("properties", "Properties", type="object", default=path("traits")),
            ),
            default_trigger=IDENTIFY,
            perform=identify_user,
        ),
    },
    presets=(
        Preset("Track Event", "trackEventV2", TRACK),
        Preset("Identify User", "identifyUserV2", IDENTIFY),
    ),
    test=probe,
    on_delete=delete_user,
)  # fmt: skip
