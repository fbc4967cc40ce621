"""PostHog: events, page and screen views, and persons, for its clouds or a server of one's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.posthog.capture import capture, capture_batch, identify, probe, read_answer
from relay.errors import Problem
from relay.kit.defaults import path
from relay.kit.definition import Action, Condition, Definition, Field, Preset, Setting, When
from relay.kit.url import url_problem

TRACK = 'type = "track"'


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    wrong = url_problem(settings.get("endpoint") or "")
    return [Problem(f"endpoint: {wrong}", None, "write it as https://us.i.posthog.com")] if wrong else []


def _is_kind(kind: str) -> When:
    return When((Condition("event_type", kind),))


DEFINITION = Definition(
    slug="posthog",
    name="Posthog",
    description="Sends events and persons to PostHog.",
    methods=frozenset(("track", "page", "screen", "identify")),
    settings=(
        Setting("api_key", "Project API key", required=True, secret=True, help="Project settings, Project API key (phc_...)."),
        Setting("project_id", "Project ID", help="As in Segment's settings; relay does not need it."),
        Setting(
            "endpoint", "Server", default="https://us.i.posthog.com",
            help="https://us.i.posthog.com, https://eu.i.posthog.com, or the address of your own PostHog.",
        ),
        Setting("historical_migration", "Historical migration", type="boolean", default=False, help="Old events, which must not look like a spike."),
        Setting("geoip_disable", "No GeoIP", type="boolean", default=False, help="PostHog looks up no place for the IP address."),
        Setting(
            "deduplicate", "Deduplicate", type="boolean", default=False,
            help="Sends a uuid made of the event's identity, so that an event that relay had to send twice counts once.",
        ),
    ),
    actions={
        "event": Action(
            slug="event",
            title="Track event",
            description="An event, a page view or a screen view.",
            fields=(
                Field("event_type", "Kind", required=True, choices=("track", "page", "screen"), default="track"),
                Field("event_name", "Event name", required=True, default=path("event"), help="Used for the kind track."),
                Field("distinct_id", "Distinct ID", required=True, default=path("userId")),
                Field("properties", "Properties", type="object", default=path("properties")),
                Field("current_url", "Current URL", required=_is_kind("page"), default=path("context.page.url"), help="Sent for the kind page."),
                Field("screen_name", "Screen name", required=_is_kind("screen"), default=path("name"), help="Sent for the kind screen."),
                Field(
                    "anonymous_event_capture", "Process the person", type="boolean", required=True, default=False,
                    help="Goes out as $process_person_profile: false makes no person profile.",
                ),
                Field("timestamp", "Time", type="datetime", default=path("receivedAt")),
                Field("enable_batching", "Batch events", type="boolean", required=True, default=False),
                Field("batch_size", "Batch size", type="number", default=100, help="Most events in one request."),
                Field("ip_address", "IP address", format="ipv4", allow_null=True, default=path("context.ip")),
            ),
            default_trigger=TRACK,
            perform=capture,
            perform_batch=capture_batch,
            read_answer=read_answer,
            batch_size=1000,
            batch_bytes=4_000_000,
        ),
        "identify": Action(
            slug="identify",
            title="Identify",
            description="Sets the properties of a person.",
            fields=(
                Field("distinct_id", "Distinct ID", required=True, default=path("userId")),
                Field("properties", "Properties", type="object", required=True, default=path("traits")),
                Field("timestamp", "Time", type="datetime", default=path("timestamp")),
                Field("ip_address", "IP address", format="ipv4", allow_null=True, default=path("context.ip")),
            ),
            perform=identify,
            read_answer=read_answer,
        ),
    },
    presets=(
        Preset("Track Event", "event", TRACK),
        Preset("Page View", "event", 'type = "page"', {"event_type": "page", "event_name": "$pageview"}),
        Preset("Screen View", "event", 'type = "screen"', {"event_type": "screen", "event_name": "$screenview"}),
        Preset("Identify", "identify", 'type = "identify"'),
    ),
    check=check,
    test=probe,
    read_test=read_answer,
)  # fmt: skip
