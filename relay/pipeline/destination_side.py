"""What one destination makes of an event: the order of the stages, and nothing else. Pure; run by actors, replay and explain."""

from collections.abc import Callable
from typing import Final

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination, CompiledSubscription
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.stages.consent import check_consent
from relay.pipeline.stages.integrations import check_integrations
from relay.pipeline.stages.map_fields import map_fields
from relay.pipeline.stages.planned import check_planned
from relay.pipeline.stages.schema import check_schema
from relay.pipeline.stages.supported import check_enabled, check_supported
from relay.pipeline.stages.trigger import NO_MATCH, match_subscriptions

GATES: Final[tuple[tuple[str, Callable[[Event, CompiledDestination], Drop | None]], ...]] = (
    ("destination", check_enabled),
    ("supported", check_supported),
    ("consent", check_consent),
    ("integrations", check_integrations),
    ("schema", check_schema),
    ("plan", check_planned),
)
"""Stage name and rule, in the order in which they are asked (semantics page 1); then filters and transformation, the triggers, privacy, mapping."""


def destination_side(sourced: Sourced, destination: CompiledDestination) -> list[Unit] | Drop:
    """A unit for each subscription that matches, or why the event goes no further."""
    decision = decide(sourced, destination)
    if isinstance(decision, Drop):
        return decision
    event, matching = decision
    return [map_fields(sourced.seq, event, subscription) for subscription in matching]


def decide(sourced: Sourced, destination: CompiledDestination) -> tuple[Event, list[CompiledSubscription]] | Drop:
    """Everything before the mapping: the event that is to be mapped and the subscriptions that match, or why it goes no further."""
    if sourced.drop is not None:
        return sourced.drop
    event = sourced.event
    for _, check in GATES:
        drop = check(event, destination)
        if drop is not None:
            return drop
    for _, rewrite in destination.before_trigger:
        result = rewrite(event)
        if isinstance(result, Drop):
            return result
        event = result
    matching = match_subscriptions(event, destination)
    if not matching:
        return NO_MATCH
    for _, rewrite in destination.before_mapping:
        result = rewrite(event)
        if isinstance(result, Drop):
            return result
        event = result
    return event, matching
