"""Amplitude: events, orders, and the properties of users and groups."""

from relay.destinations.amplitude.events import (
    BATCH_KEYS,
    log_event,
    log_events,
    log_purchase,
    log_purchases,
    read_event_answer,
    read_purchase_answer,
)
from relay.destinations.amplitude.fields import EVENT, GROUP, IDENTIFY, MAP_USER, PURCHASE
from relay.destinations.amplitude.server import REGIONS, delete_user, probe
from relay.destinations.amplitude.users import group_identify_user, identify_user, map_user
from relay.kit.defaults import template
from relay.kit.definition import Action, Definition, Preset, Setting

TRACK = 'type = "track"'

DEFINITION = Definition(
    slug="amplitude",
    name="Actions Amplitude",
    description="Sends events, and properties of users and groups, to Amplitude.",
    settings=(
        Setting("apiKey", "API key", required=True, secret=True, help="Settings, Projects, API key."),
        Setting("secretKey", "Secret key", secret=True, help="Used by relay check, and to delete users."),
        Setting("endpoint", "Region", choices=REGIONS, default=REGIONS[0]),
        Setting(
            "deduplicate", "Deduplicate", type="boolean", default=False,
            help="Sends the messageId as insert_id, so that an event that relay had to send twice counts once.",
        ),
    ),
    actions={
        "identifyUser": Action(
            slug="identifyUser",
            title="Identify user",
            description="Sets the properties of a user, or of a device.",
            fields=IDENTIFY,
            default_trigger='type = "identify"',
            perform=identify_user,
        ),
        "mapUser": Action(
            slug="mapUser",
            title="Map user",
            description="Makes two user ids one user.",
            fields=MAP_USER,
            default_trigger='type = "alias"',
            perform=map_user,
        ),
        "groupIdentifyUser": Action(
            slug="groupIdentifyUser",
            title="Identify group",
            description="Puts a user into a group, and sets the group's properties.",
            fields=GROUP,
            default_trigger='type = "group"',
            perform=group_identify_user,
        ),
        "logPurchase": Action(
            slug="logPurchase",
            title="Log purchase",
            description="An order with its revenue, and an event for each of its products.",
            fields=PURCHASE,
            default_trigger=TRACK,
            perform=log_purchase,
            perform_batch=log_purchases,
            read_answer=read_purchase_answer,
            batch_size=20,
            batch_keys=BATCH_KEYS,
            batch_always=True,
        ),
        "logEventV2": Action(
            slug="logEventV2",
            title="Log event",
            description="An event, a page view or a screen view.",
            fields=EVENT,
            default_trigger=TRACK,
            perform=log_event,
            perform_batch=log_events,
            read_answer=read_event_answer,
            batch_size=100,
            batch_keys=BATCH_KEYS,
            batch_always=True,
        ),
    },
    presets=(
        Preset("Track Calls", "logEventV2", 'type = "track" and event != "Order Completed"'),
        Preset("Order Completed Calls", "logPurchase", 'type = "track" and event = "Order Completed"'),
        Preset("Page Calls", "logEventV2", 'type = "page"', {"event_type": template("Viewed {{name}}")}),
        Preset("Screen Calls", "logEventV2", 'type = "screen"', {"event_type": template("Viewed {{name}}")}),
        Preset("Identify Calls", "identifyUser", 'type = "identify"'),
    ),
    test=probe,
    read_test=read_event_answer,
    on_delete=delete_user,
)  # fmt: skip
