"""The same stages as on the hot path, with every answer kept: made when somebody looks, never while events flow. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from relay.base.event import DELETED, Event
from relay.errors import DeliveryError, PayloadError
from relay.kit.definition import Delivery
from relay.kit.request import Request, Response
from relay.kit.steps import rehearse
from relay.pipeline.compiled import CompiledDestination, CompiledSource
from relay.pipeline.decision import Drop, Rewrite, Rules, Sourced, Unit
from relay.pipeline.destination_side import GATES
from relay.pipeline.source_side import source_side
from relay.pipeline.stages.inspect import Inspected
from relay.pipeline.stages.map_fields import map_fields
from relay.pipeline.stages.trigger import NO_MATCH, match_subscriptions

STEPS_MAX: Final = 5
"""Requests of one action that are shown; each is answered with an empty 200, so a second step is a guess."""
CHANGES_MAX: Final = 100
AT_SOURCE: Final = "at the source, so no destination gets it"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that a stage made different. `path` is a JSON path without `$.`; None: it was or is absent."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer of one stage."""

    stage: str
    outcome: str
    """`passed`, `changed`, `dropped`; of a subscription: `matched`, `skipped`, `mapped`, `refused`."""
    code: str = ""
    """Why it was dropped or refused."""
    text: str = ""
    """What a person should know of it."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be sent for one subscription: requests in order, or why none can be made."""

    subscription_id: str
    action: str
    requests: tuple[Request, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a destination decides about an event. `drop` is None when something is to be sent."""

    traces: tuple[Trace, ...]
    drop: Drop | None = None
    planned: tuple[Planned, ...] = ()


def explain_source(seq: int, event: Event, source: CompiledSource | None) -> tuple[Sourced, list[Trace]]:
    """The source side, and its stages."""
    sourced = source_side(seq, event, source)
    if source is None or event.type == DELETED:
        text = "" if event.type == DELETED else "the source was removed meanwhile"
        return sourced, [Trace("source", "dropped" if sourced.drop else "passed", sourced.drop.code if sourced.drop else "", text)]
    traces: list[Trace] = []
    if source.transform is not None:
        result = source.transform(event)
        traces.append(_trace("transform", event, result, source.transform))
        if isinstance(result, Drop):
            return sourced, traces
        event = result
    if source.inspect is not None:
        inspected = source.inspect(event)
        traces.append(replace(_trace("schema", event, inspected.drop or inspected.event), text=_said_of(inspected, source.source.plan)))
    return sourced, traces or [Trace("source", "passed")]


def _said_of(inspected: Inspected, plan: str) -> str:
    """What the schema and the plan have against an event; empty: nothing, or what the code says."""
    if inspected.drop is not None and inspected.drop.code == "unplanned":
        return f'the plan "{plan}" has no rule for this event'
    said = [f"{one.field}: {one.description}" for one in inspected.violations[:CHANGES_MAX]]
    return "; ".join((*said, f"not planned: {', '.join(inspected.omitted[:CHANGES_MAX])}") if inspected.omitted else said)


def _trace(stage: str, before: Event, result: Event | Drop, step: Rewrite | None = None) -> Trace:
    text = step.tell(before) if isinstance(step, Rules) else ""
    if isinstance(result, Drop):
        return Trace(stage, "dropped", result.code, text)
    changes = diff(before.payload, result.payload)
    return Trace(stage, "changed" if changes else "passed", text=text, changes=changes)


def explain_destination(sourced: Sourced, destination: CompiledDestination, *, sent_s: float = 0.0) -> Explanation:
    """Every stage that was asked, in order, and the requests exactly as they would be sent at `sent_s` (secrets not yet masked)."""
    if sourced.drop is not None:
        return Explanation((Trace(sourced.drop.stage, "dropped", sourced.drop.code, AT_SOURCE),), sourced.drop)
    traces: list[Trace] = []
    event = sourced.event
    for stage, check in GATES:
        drop = check(event, destination)
        if drop is not None:
            return Explanation((*traces, Trace(stage, "dropped", drop.code, drop.text)), drop)
        traces.append(Trace(stage, "passed"))
    rewritten = _rewrite(event, destination.before_trigger, traces)
    if isinstance(rewritten, Drop):
        return Explanation(tuple(traces), rewritten)
    matching = match_subscriptions(rewritten, destination)
    for compiled in destination.subscriptions:
        outcome = "matched" if any(compiled is match for match in matching) else "skipped"
        subscription = compiled.subscription
        traces.append(Trace("trigger", outcome, text=f"{subscription.subscription_id}: {subscription.trigger}"))
    if not matching:
        return Explanation((*traces, Trace(NO_MATCH.stage, "dropped", NO_MATCH.code)), NO_MATCH)
    final = _rewrite(rewritten, destination.before_mapping, traces)
    if isinstance(final, Drop):
        return Explanation(tuple(traces), final)
    planned = []
    for compiled in matching:
        unit = map_fields(sourced.seq, final, compiled)
        plan = plan_unit(unit, destination, sent_s=sent_s)
        planned.append(plan)
        name = f"{unit.subscription_id}: {compiled.action.slug}"
        if unit.problem:
            traces.append(Trace("mapping", "refused", unit.problem_code, f"{name}: {unit.problem}"))
        else:
            traces.append(Trace("mapping", "mapped", text=name, changes=made_fields(unit)))
    return Explanation(tuple(traces), None, tuple(planned))


def _rewrite(event: Event, steps: tuple[tuple[str, Rewrite], ...], traces: list[Trace]) -> Event | Drop:
    for stage, step in steps:
        result = step(event)
        traces.append(_trace(stage, event, result, step))
        if isinstance(result, Drop):
            return result
        event = result
    return event


def plan_unit(unit: Unit, destination: CompiledDestination, *, sent_s: float) -> Planned:
    """What an attempt would ask, each question answered by an empty 200."""
    action = unit.action
    assert action is not None
    if unit.problem:
        return Planned(unit.subscription_id, action.slug, problem=unit.problem, code=unit.problem_code)
    if action.perform is None:
        return Planned(unit.subscription_id, action.slug, fields=unit.fields)
    delivery = Delivery(unit.fields, unit.event, sent_s)
    try:
        performed = action.perform(destination.destination.settings, delivery)
        asked = [performed] if isinstance(performed, Request) else rehearse(performed, [Response(200)] * STEPS_MAX)[1]
    except (DeliveryError, PayloadError) as error:
        return Planned(unit.subscription_id, action.slug, fields=unit.fields, problem=error.message, code=error.code)
    except Exception as error:  # fence: a bug in an action is told like any other answer
        return Planned(unit.subscription_id, action.slug, fields=unit.fields, problem=f"{type(error).__name__}: {error}", code="bug")
    return Planned(unit.subscription_id, action.slug, tuple(asked), unit.fields)


def diff(before: Any, after: Any) -> tuple[Change, ...]:
    """What differs between two JSON values, at most CHANGES_MAX entries, in the order of the keys."""
    found: list[Change] = []
    if before is not after:
        _diff(before, after, "", found)
    return tuple(found[:CHANGES_MAX])


def made_fields(unit: Unit) -> tuple[Change, ...]:
    """What a mapping gave, field by field; nothing where the whole event goes on as it is."""
    if any(value is unit.event.payload for value in unit.fields.values()):
        return ()
    return tuple(Change(name, None, value) for name, value in unit.fields.items())[:CHANGES_MAX]


def _diff(before: Any, after: Any, path: str, found: list[Change]) -> None:
    if len(found) >= CHANGES_MAX or before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*before, *(key for key in after if key not in before)):
            _diff(before.get(key), after.get(key), f"{path}.{key}" if path else str(key), found)
    elif _are_lists(before, after) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            _diff(old, new, f"{path}.{index}", found)
    else:
        found.append(Change(path, before, after))


def _are_lists(before: Any, after: Any) -> bool:
    return isinstance(before, Sequence) and isinstance(after, Sequence) and not isinstance(before, str) and not isinstance(after, str)
