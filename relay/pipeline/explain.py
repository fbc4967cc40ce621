"""The same stages as on the hot path, with every answer kept: made when somebody looks, never while events flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Sourced
from relay.pipeline.destination_side import GATES
from relay.pipeline.stages.map_fields import map_fields
from relay.pipeline.stages.trigger import NO_MATCH, match_subscriptions


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer of one stage."""

    stage: str
    outcome: str
    """`passed`, `dropped`; of a subscription: `matched`, `skipped`, `mapped`, `refused`."""
    code: str = ""
    """Why it was dropped or refused."""
    changed: Mapping[str, Any] = field(default_factory=dict)
    """What the stage made; of a subscription always with its id as `subscription`."""


def explain_destination(sourced: Sourced, destination: CompiledDestination) -> list[Trace]:
    """One trace per stage that was asked, in order; the last one says how it ended."""
    if sourced.drop is not None:
        return [Trace(sourced.drop.stage, "dropped", sourced.drop.code)]
    traces: list[Trace] = []
    for stage, check in GATES:
        drop = check(sourced.event, destination)
        if drop is not None:
            return [*traces, Trace(stage, "dropped", drop.code)]
        traces.append(Trace(stage, "passed"))
    matching = match_subscriptions(sourced.event, destination)
    for compiled in destination.subscriptions:
        subscription = compiled.subscription
        outcome = "matched" if any(compiled is match for match in matching) else "skipped"
        traces.append(Trace("trigger", outcome, "", {"subscription": subscription.subscription_id, "trigger": subscription.trigger}))
    if not matching:
        return [*traces, Trace(NO_MATCH.stage, "dropped", NO_MATCH.code)]
    for compiled in matching:
        unit = map_fields(sourced, compiled)
        made: dict[str, Any] = {"subscription": unit.subscription_id, "action": compiled.action.slug}
        if unit.problem:
            traces.append(Trace("mapping", "refused", unit.problem_code, made | {"problem": unit.problem}))
        else:
            traces.append(Trace("mapping", "mapped", "", made | {"fields": unit.fields}))
    return traces
