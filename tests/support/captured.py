"""Runs a destination's captured case (`cases.json`) through the real stages, up to the requests it asks for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from relay.base import jsonio
from relay.base.event import event_of
from relay.kit.definition import Definition, Delivery
from relay.kit.request import Request
from relay.pipeline.compiled import CompiledDestination, compile_workspace
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.destination_side import destination_side
from relay.workspace.model import Destination, Subscription, Workspace


def requests_of(case: Mapping[str, Any], definition: Definition, settings: Mapping[str, Any] | None = None) -> list[Request] | Drop:
    """The requests, or why the (single) event of the case is dropped; errors of the action are raised."""
    compiled = compile_case(case, definition, settings or {})
    units: list[Unit] = []
    for seq, message in enumerate(case.get("events") or [case["event"]], 1):
        result = destination_side(Sourced(seq, event_of(message, "web", 0, jsonio.dumps(message))), compiled)
        if isinstance(result, Drop):
            return result
        units += result
    sent_s = datetime.fromisoformat(case["now"]).timestamp()
    return [ask(batch, compiled.destination.settings, sent_s) for batch in batches_of(units)]


def compile_case(case: Mapping[str, Any], definition: Definition, settings: Mapping[str, Any]) -> CompiledDestination:
    """The destination that a case describes."""
    if case["subscriptions"] == "presets":
        subscriptions = [Subscription(preset.name, preset.name, preset.action, preset.trigger, preset.mapping) for preset in definition.presets]
    else:
        subscriptions = [
            Subscription(f"s{index}", "", given["action"], given["trigger"], given["overrides"]) for index, given in enumerate(case["subscriptions"])
        ]
    defaults = {setting.name: setting.default for setting in definition.settings if setting.default is not None}
    made = Destination("d", "d", "D", definition.slug, ("web",), settings=defaults | case["settings"] | settings, subscriptions=tuple(subscriptions))
    return compile_workspace(Workspace(1, (), (made,)), {definition.slug: definition}).destinations["d"]


def batches_of(units: list[Unit]) -> list[list[Unit]]:
    """Units that share a request, in their order; every unit must be sendable."""
    batches: dict[Any, list[Unit]] = {}
    for unit in units:
        assert not unit.problem, unit.problem
        batches.setdefault((unit.subscription_id, unit.batch_key or unit.seq), []).append(unit)
    return list(batches.values())


def ask(units: list[Unit], settings: Mapping[str, Any], sent_s: float) -> Request:
    """The one request that the action asks for."""
    action = units[0].action
    assert action is not None
    assert action.perform is not None
    deliveries = [Delivery(unit.fields, unit.event, sent_s) for unit in units]
    asked = action.perform_batch(settings, deliveries) if units[0].batch_key and action.perform_batch else action.perform(settings, deliveries[0])
    assert isinstance(asked, Request)
    return asked
