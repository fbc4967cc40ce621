"""relay's own events: their shape, and the destination that an alert is about never gets it."""

from dataclasses import replace
from typing import Any

import pytest

from relay.base.codes import CODES
from relay.base.event import Event
from relay.destinations.webhook import DEFINITION
from relay.pipeline.compiled import CompiledDestination, compile_workspace
from relay.pipeline.decision import Drop, Sourced
from relay.pipeline.derived import FIRED, alert_event
from relay.pipeline.destination_side import destination_side
from relay.workspace.model import BUILT_IN_SOURCE, Destination, Source, Subscription, Workspace

HOOK = Destination(
    "ops", "ops", "Ops", "webhook", (BUILT_IN_SOURCE,), settings={"url": "https://ops.example.com"},
    subscriptions=(Subscription("all", "All", "send", 'type = "track"', {}),),
)  # fmt: skip


def compiled(destination: Destination = HOOK) -> CompiledDestination:
    return compile_workspace(Workspace(1, (), (destination,)), {"webhook": DEFINITION}).destinations[destination.destination_id]


def alert(kind: str = "destination", slug: str = "orders", **more: Any) -> Event:
    return alert_event(
        FIRED, {"subject": {"kind": kind, "slug": slug}, "text": "it fails"}, message_id="alert-1-fired", at_ms=1_700_000_000_000, **more
    )


def test_an_alert_is_a_track_event_of_the_built_in_source() -> None:
    event = alert()
    assert (event.source_id, event.type, event.name, event.user_id) == ("relay", "track", "Alert Fired", "relay")
    assert event.payload["timestamp"] == event.payload["receivedAt"] == "2023-11-14T22:13:20.000Z"
    assert Event.from_body("relay", event.received_ms, event.body).payload == event.payload


def test_the_built_in_source_is_in_every_compiled_workspace_and_has_no_key() -> None:
    made = compile_workspace(Workspace(1, (Source("web", "web", "Web", ("wk",)),), ()), {})
    assert made.sources["relay"].source.write_keys == ()
    assert set(made.sources_by_key) == {"wk"}


@pytest.mark.parametrize(
    ("event", "slug", "dropped"),
    [
        (alert(slug="orders"), "ops", False),
        (alert(slug="ops"), "ops", True),
        (alert(kind="source", slug="ops"), "ops", False),
        (alert(only="ops"), "ops", False),
    ],
)
def test_the_destination_it_is_about_drops_it(event: Event, slug: str, dropped: bool) -> None:
    result = destination_side(Sourced(1, event), compiled())
    assert isinstance(result, Drop) == dropped
    if isinstance(result, Drop):
        assert (result.stage, result.code) == ("destination", "about_itself")
        assert result.code in CODES


def test_a_test_alert_goes_to_one_destination_only() -> None:
    result = destination_side(Sourced(1, alert(only="mail")), compiled())
    assert isinstance(result, Drop)
    assert result.code == "FILTERED_BY_INTEGRATIONS_OBJECT"


def test_an_apps_event_that_looks_like_an_alert_is_none() -> None:
    event = alert(slug="ops")
    copy = Event(event.message_id, "web", event.type, event.name, event.user_id, "", event.received_ms, event.payload, event.body)
    destination = compiled(replace(HOOK, source_ids=("web",)))
    assert not isinstance(destination_side(Sourced(1, copy), destination), Drop)
