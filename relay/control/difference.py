"""How one event comes out differently at one destination under two workspace versions. Pure."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.base import jsonio
from relay.base.codes import Door
from relay.base.event import Event
from relay.base.secret import MASK
from relay.control.versions import Pair, names_of
from relay.kit.request import Request
from relay.kit.shown import shown
from relay.pipeline.compiled import CompiledDestination, CompiledSource, CompiledSubscription
from relay.pipeline.decision import Drop, Rewrite, Sourced, Unit
from relay.pipeline.destination_side import decide
from relay.pipeline.explain import Change, Planned, diff, explain_destination, explain_source, made_fields, plan_unit
from relay.pipeline.source_side import source_side
from relay.pipeline.stages.map_fields import map_fields
from relay.workspace.model import Destination

SENT: Final = "sent"
DROPPED: Final = "dropped"
ADDED: Final = "added"
CHANGED: Final = "changed"
NOT_CONNECTED = Drop("source", "not_connected")
SWITCHED_OFF = Drop("source", "source_disabled", Door.BLOCKED)

Decision = tuple[Event, list[CompiledSubscription]] | Drop


@dataclass(frozen=True, slots=True)
class Made:
    """What one version makes of an event for a destination. `code`: why nothing is sent; empty: something is."""

    units: tuple[Unit, ...] = ()
    plans: tuple[Planned, ...] = ()
    code: str = ""

    @property
    def requests(self) -> int:
        return sum(len(plan.requests) for plan in self.plans)


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that differs. `was` and `now`: `sent`, or the code of what stops it."""

    kind: str
    was: str
    now: str
    before: Made
    after: Made

    @property
    def code(self) -> str:
        """Of what is dropped or added: why nothing goes out now, or did before."""
        return self.now if self.kind == DROPPED else self.was if self.kind == ADDED else ""


def compare(before: Sourced, after: Sourced, pair: Pair, *, sent_s: float) -> Difference | None:
    """How an event comes out differently at a destination; None: it does not. The requests are those of `sent_s`."""
    was, now = _decided(before, pair.before), _decided(after, pair.after)
    if isinstance(was, Drop) and isinstance(now, Drop):
        return None
    is_mapping_all = pair.is_sent_alike and not pair.unseen
    if is_mapping_all and _is_mapped_alike(was, now, pair):
        return None
    first, second = _mapped(before.seq, was), _mapped(after.seq, now)
    if is_mapping_all and first and second and _are_equal(first, second):
        return None
    made, remade = _made(was, first, pair.before, sent_s), _made(now, second, pair.after, sent_s)
    if made.code or remade.code:
        if made.code and remade.code:
            return None
        return Difference(ADDED, made.code, SENT, made, remade) if made.code else Difference(DROPPED, SENT, remade.code, made, remade)
    return Difference(CHANGED, SENT, SENT, made, remade) if pair.unseen or _is_sent_differently(made, remade) else None


def sourced_by(seq: int, event: Event, source: CompiledSource | None, redact: Rewrite | None) -> Sourced:
    """The source side; a source that is switched off takes nothing."""
    if source is not None and not source.source.enabled:
        return Sourced(seq, event, SWITCHED_OFF)
    if redact is not None:
        redacted = redact(event)
        if isinstance(redacted, Drop):
            return Sourced(seq, event, redacted._replace(door=Door.BLOCKED))
        event = redacted
    return source_side(seq, event, source)


def is_alike(before: Sourced, after: Sourced) -> bool:
    """A destination that is the same makes the same of both."""
    if before.drop is not None or after.drop is not None:
        return before.drop is not None and after.drop is not None
    return _is_same_event(before.event, after.event)


def _is_same_event(one: Event, other: Event) -> bool:
    return one is other or one.payload == other.payload


def _decided(sourced: Sourced, destination: CompiledDestination | None) -> Decision:
    if destination is None or sourced.event.source_id not in destination.source_ids:
        return NOT_CONNECTED
    return decide(sourced, destination)


def _is_mapped_alike(was: Decision, now: Decision, pair: Pair) -> bool:
    """The same event goes into the same mappings, so nobody need run them."""
    if isinstance(was, Drop) or isinstance(now, Drop):
        return False
    names = [one.subscription.subscription_id for one in now[1]]
    alike = [one.subscription.subscription_id for one in was[1]] == names and pair.mapped_alike.issuperset(names)
    return alike and _is_same_event(was[0], now[0])


def _mapped(seq: int, decision: Decision) -> tuple[Unit, ...]:
    if isinstance(decision, Drop):
        return ()
    event, matching = decision
    return tuple(map_fields(seq, event, subscription) for subscription in matching)


def _are_equal(first: tuple[Unit, ...], second: tuple[Unit, ...]) -> bool:
    """With equal settings, the requests are equal as well."""
    return len(first) == len(second) and all(
        one.subscription_id == other.subscription_id
        and one.problem_code == other.problem_code
        and bool(one.problem) == bool(other.problem)
        and one.action is not None
        and other.action is not None
        and one.action.slug == other.action.slug
        and one.fields == other.fields
        and _is_same_event(one.event, other.event)
        for one, other in zip(first, second, strict=True)
    )


def _made(decision: Decision, units: tuple[Unit, ...], destination: CompiledDestination | None, sent_s: float) -> Made:
    """With the requests; an event none of whose units can be sent has the code of the first."""
    if isinstance(decision, Drop):
        return Made(code=decision.code)
    assert destination is not None, "an event is dropped where there is no destination"
    plans = tuple(plan_unit(unit, destination, sent_s=sent_s) for unit in units)
    return Made(units, plans, plans[0].code if all(plan.code for plan in plans) else "")


def _is_sent_differently(before: Made, after: Made) -> bool:
    if [_name(plan) for plan in before.plans] != [_name(plan) for plan in after.plans]:
        return True
    return any(
        old.fields != new.fields or old.requests != new.requests or (_is_stored(other) and not _is_same_event(unit.event, other.event))
        for old, new, unit, other in zip(before.plans, after.plans, before.units, after.units, strict=True)
    )


def _is_stored(unit: Unit) -> bool:
    """A sink gets the event itself."""
    return unit.action is not None and unit.action.perform is None


def _name(plan: Planned) -> tuple[str, str, str]:
    return plan.subscription_id, plan.action, plan.code


# what differs, for a person


def reason_of(
    found: Difference, event: Event, sourced: Sourced, source: CompiledSource | None, destination: CompiledDestination | None, *, sent_s: float
) -> str:
    """Which rule or field stops the stored `event`, under the version to which the other arguments belong; empty: the code says it all."""
    if found.kind == CHANGED or found.code == NOT_CONNECTED.code or sourced.drop is SWITCHED_OFF or destination is None:
        return ""
    traces = explain_destination(sourced, destination, sent_s=sent_s).traces if sourced.drop is None else explain_source(0, event, source)[1]
    return next((trace.text for trace in traces if trace.outcome in ("dropped", "refused")), "")


def changes_of(found: Difference, pair: Pair) -> tuple[Change, ...]:
    """What goes out differently: fields, else requests, else the event itself where it is stored. Only secret settings are hidden here."""
    if found.kind != CHANGED:
        return tuple(change for unit in found.after.units for change in made_fields(unit))
    before = {unit.subscription_id: (unit, plan) for unit, plan in zip(found.before.units, found.before.plans, strict=True)}
    after = {unit.subscription_id: (unit, plan) for unit, plan in zip(found.after.units, found.after.plans, strict=True)}
    names = names_of(before, after)
    changes = list(pair.unseen)
    for name in names:
        head = f"{name}." if len(names) > 1 else ""
        changes += [Change(f"{head}{one.path}", one.before, one.after) for one in _unit_changes(before.get(name), after.get(name), pair)]
    return tuple(changes)


def _unit_changes(before: tuple[Unit, Planned] | None, after: tuple[Unit, Planned] | None, pair: Pair) -> Sequence[Change]:
    if before is None or after is None or bool(before[1].code) != bool(after[1].code):
        return (Change("outcome", _outcome(before), _outcome(after)),)
    (unit, plan), (other, replan) = before, after
    if plan.action != replan.action:
        return (Change("action", plan.action, replan.action),)
    assert pair.before is not None
    assert pair.after is not None
    if found := diff(unit.fields, other.fields):
        return found
    if plan.requests != replan.requests:
        return diff(_shown(plan.requests, pair.before.destination), _shown(replan.requests, pair.after.destination)) or (
            Change("request", "differs in what is hidden", MASK),
        )
    return diff(unit.event.payload, other.event.payload) if _is_stored(other) else ()


def _outcome(made: tuple[Unit, Planned] | None) -> str:
    return "no match" if made is None else made[1].code or SENT


def _shown(requests: tuple[Request, ...], destination: Destination) -> dict[str, Any]:
    """Requests with secrets hidden, their bodies as JSON where they are."""
    told = {}
    for number, request in enumerate(requests, 1):
        one = shown(request, destination.settings)
        with contextlib.suppress(ValueError):
            one["body"] = jsonio.loads(one["body"])
        told["request" if len(requests) == 1 else f"request {number}"] = one
    return told
