"""Mixpanel: events through the import API, profiles of users and groups, aliases and counters."""

from relay.destinations.mixpanel.events import read_import, track_batch, track_event, track_purchase, track_purchases
from relay.destinations.mixpanel.fields import ALIAS, EVENT, GROUP, IDENTIFY, INCREMENT, PURCHASE
from relay.destinations.mixpanel.profiles import alias, group_identify_user, identify_user, increment_properties, read_profile
from relay.destinations.mixpanel.server import REGIONS, probe
from relay.kit.defaults import template
from relay.kit.definition import Action, Definition, Preset, Setting

TRACK = 'type = "track"'

DEFINITION = Definition(
    slug="mixpanel",
    name="Mixpanel (Actions)",
    description="Sends events, and profiles of users and groups, to Mixpanel.",
    settings=(
        Setting("projectToken", "Project token", required=True, help="Project settings, Access Keys."),
        Setting("apiSecret", "API secret", secret=True, help="Project settings, Access Keys; left out: the project token is used."),
        Setting("apiRegion", "Data residency", choices=REGIONS, default=REGIONS[0]),
        Setting("sourceName", "Source name", help="Sent with events as segment_source_name."),
        Setting("strictMode", "Strict mode", choices=("1", "0"), default="1", help="1: Mixpanel says which events it refuses; 0: it drops them silently."),
    ),
    actions={
        "trackEvent": Action(
            slug="trackEvent",
            title="Track event",
            description="An event, a page view or a screen view.",
            fields=EVENT,
            default_trigger=TRACK,
            perform=track_event,
            perform_batch=track_batch,
            read_answer=read_import,
            batch_size=2000,
            batch_bytes=1_000_000,
        ),
        "identifyUser": Action(
            slug="identifyUser",
            title="Identify user",
            description="Joins the anonymous id to the user, and sets the user's profile.",
            fields=IDENTIFY,
            default_trigger='type = "identify"',
            perform=identify_user,
            read_answer=read_profile,
        ),
        "groupIdentifyUser": Action(
            slug="groupIdentifyUser",
            title="Identify group",
            description="Sets the profile of a group.",
            fields=GROUP,
            default_trigger='type = "group"',
            perform=group_identify_user,
            read_answer=read_profile,
        ),
        "alias": Action(
            slug="alias",
            title="Alias",
            description="Makes one id another name of a second; for projects with the old kind of identity management.",
            fields=ALIAS,
            perform=alias,
            read_answer=read_profile,
        ),
        "trackPurchase": Action(
            slug="trackPurchase",
            title="Track purchase",
            description="An order, and an event for each of its products.",
            fields=PURCHASE,
            default_trigger=TRACK,
            perform=track_purchase,
            perform_batch=track_purchases,
            read_answer=read_import,
            batch_size=200,
        ),
        "incrementProperties": Action(
            slug="incrementProperties",
            title="Increment properties",
            description="Adds to numbers of a user's profile.",
            fields=INCREMENT,
            default_trigger=TRACK,
            perform=increment_properties,
            read_answer=read_profile,
        ),
    },
    presets=(
        Preset("Track Calls", "trackEvent", 'type = "track" and event != "Order Completed"'),
        Preset("Order Completed Calls", "trackPurchase", 'type = "track" and event = "Order Completed"'),
        Preset("Page Calls", "trackEvent", 'type = "page"', {"event": template("Viewed {{name}}")}),
        Preset("Screen Calls", "trackEvent", 'type = "screen"', {"event": template("Viewed {{name}}")}),
        Preset("Identify Calls", "identifyUser", 'type = "identify"'),
        Preset("Group Calls", "groupIdentifyUser", 'type = "group"'),
    ),
    test=probe,
)  # fmt: skip
