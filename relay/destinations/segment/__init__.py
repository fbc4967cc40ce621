"""Segment: forwards events to Segment, to another relay, or to any server that speaks Segment's tracking API."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from relay.base.event import TYPES
from relay.base.secret import reveal
from relay.destinations.segment.forward import forward, forward_batch
from relay.destinations.segment.rebuild import BUILT
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Field, Preset, Setting
from relay.kit.request import Request
from relay.kit.url import url_problem

CDN = "https://cdn.segment.com"
ALL_TYPES = " or ".join(f'type = "{kind}"' for kind in TYPES)


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    endpoint = settings.get("endpoint")
    wrong = url_problem(endpoint) if endpoint else ""
    if not wrong and endpoint and ("?" in endpoint or "#" in endpoint):
        wrong = "the URL ends before the path /v1/batch, without ? or #"
    return [Problem(f"endpoint: {wrong}", None, "write it as https://host")] if wrong else []


def test(settings: Mapping[str, Any]) -> Request | None:
    """Reads the settings document of the write key's source; only Segment itself surely has one."""
    if urlsplit(str(settings["endpoint"])).hostname != "api.segment.io":
        return None
    return Request("GET", f"{CDN}/v1/projects/{quote(reveal(settings.get('writeKey')), safe='')}/settings", secrets=frozenset(("url",)))


DEFINITION = Definition(
    slug="segment",
    name="Segment",
    description="Forwards events to a server that speaks Segment's tracking API.",
    settings=(
        Setting("writeKey", "Write key", required=True, secret=True, help="Of the source that takes the events."),
        Setting("endpoint", "Endpoint", default="https://api.segment.io", help="In the EU: https://events.eu1.segmentapis.com"),
    ),
    actions={
        "forward": Action(
            slug="forward",
            title="Forward",
            description="Sends events in batches to /v1/batch; messageId and timestamp stay.",
            fields=(
                Field("data", "Event", type="object", required=True, default={"@path": "$."}, help="What is sent; the whole event by default."),
                Field(
                    "repeat_chain", "Way so far", multiple=True, default={"@path": "$.context.repeatChain"},
                    help="Fingerprints of the write keys that the event has passed; an event that would go round in a circle stops.",
                ),
            ),
            default_trigger=ALL_TYPES,
            perform=forward,
            perform_batch=forward_batch,
            batch_size=100,
            batch_bytes=450_000,
            # Events of one way share a request, so one that goes in a circle takes no other down with it.
            batch_keys=("repeat_chain",),
            batch_always=True,
        ),
        **{action.slug: action for action in BUILT},
    },
    presets=(Preset("All events", "forward", ALL_TYPES),),
    check=check,
    test=test,
)  # fmt: skip
