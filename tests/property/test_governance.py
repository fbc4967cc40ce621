"""Whatever the rules, all kinds of them at once, and whatever the event: nothing raises, nothing is lost, the stored event stays as it is, and an
explanation tells what really happens."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.base import jsonio
from relay.base.codes import CODES
from relay.base.event import Event
from relay.destinations import load_catalog
from relay.kit.warehouse import rows_of
from relay.pipeline.compiled import CompiledDestination, CompiledSource, compile_workspace
from relay.pipeline.decision import Drop, Sourced
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import explain_destination, explain_source
from relay.pipeline.intake import Client, Limits, accept, time_text
from relay.pipeline.source_side import source_side
from relay.workspace.model import Workspace
from tests.support.worlds import MESSAGES, careful, workspaces

CATALOG = load_catalog()


def taken(messages: list[dict[str, Any]], source: CompiledSource) -> list[Event]:
    """The events of messages as clients send them."""
    given = [{"userId": "u1", "groupId": "g", "previousId": "p"} | copy.deepcopy(message) for message in messages]
    events, refusals = accept(
        given, {}, source, received_ms=1, received_text=time_text(1), client=Client(), limits=Limits(), new_id=lambda: "unused"
    )  # fmt: skip
    assert {refusal.code for refusal in refusals} <= {"too_deep", "event_too_large"}
    return events


def sourced(seq: int, event: Event, source: CompiledSource) -> Sourced:
    """The event after the source side, which has explained itself truly and has changed nothing that it was given."""
    before, body = copy.deepcopy(event.payload), event.body
    found = source_side(seq, event, source)
    told, traces = explain_source(seq, event, source)
    assert (event.payload, event.body) == (before, body)
    assert jsonio.loads(found.event.body) == found.event.payload
    assert (told.drop, told.event.body, told.violations) == (found.drop, found.event.body, found.violations)
    assert [one.body for one in told.derived] == [one.body for one in found.derived]
    assert (traces[-1].outcome == "dropped") is (found.drop is not None)
    return found


def delivered(found: Sourced, destination: CompiledDestination) -> None:
    """What one destination makes of it is what is explained."""
    before = copy.deepcopy(found.event.payload)
    result, explained = destination_side(found, destination), explain_destination(found, destination)
    assert found.event.payload == before
    if isinstance(result, Drop):
        last = explained.traces[-1]
        assert (explained.drop, last.outcome, last.code) == (result, "dropped", result.code)
        assert result.code in CODES
        assert result.code not in ("INTERNAL", "FAILED_DATA_ENCRYPTION"), explained
        assert result.code != "FILTERED_BY_RULES" or last.text or found.drop
        return
    assert result
    assert explained.drop is None
    for unit in result:
        assert rows_of(unit.event, 0.0)
        assert isinstance(unit.event.keys, tuple)
    assert [one.subscription_id for one in explained.planned] == [unit.subscription_id for unit in result]
    assert [bool(one.problem) for one in explained.planned] == [bool(unit.problem) for unit in result]
    if not destination.destination.privacy.encrypt:  # which draws anew each time
        assert [one.fields for one in explained.planned if not one.problem] == [unit.fields for unit in result if not unit.problem]


@careful
@given(workspaces(), st.lists(MESSAGES, min_size=1, max_size=3))
def test_nothing_raises_or_is_lost_and_explanations_agree(workspace: Workspace, messages: list[dict[str, Any]]) -> None:
    compiled = compile_workspace(workspace, CATALOG)
    queue = [event for source in ("web", "other") for event in taken(messages, compiled.sources[source])]
    for seq, event in enumerate(queue, 1):
        found = sourced(seq, event, compiled.sources[event.source_id])
        assert found.drop is None or found.drop.code != "INTERNAL"
        queue += found.derived
        for destination in compiled.destinations.values():
            delivered(found, destination)
    assert len(queue) < 500
