"""From an event and a subscription that wants it to the unit that is sent: fields, and what may share a request with it."""

from collections.abc import Mapping
from typing import Any

from relay.base import jsonio
from relay.errors import PayloadError
from relay.kit.definition import Action
from relay.pipeline.compiled import CompiledSubscription
from relay.pipeline.decision import Sourced, Unit

ALONE = ("", 1)
ANY_BATCH = "1"
"""The batch key where the action asks for no equal fields."""


def map_fields(sourced: Sourced, subscription: CompiledSubscription) -> Unit:
    """The unit; one that the mapping or the fields refuse carries its problem and leaves as a dead letter."""
    event, action = sourced.event, subscription.action
    try:
        fields = subscription.mapper(event.payload)
        batch_key, batch_size = batch_of(action, fields) if action.batch_size > 1 else ALONE
    except PayloadError as error:
        return Unit(sourced.seq, event, subscription.subscription.subscription_id, action, {}, problem=error.message)
    except Exception as error:  # fence: a bug in a mapper costs its own unit only
        problem = f"{type(error).__name__}: {error}"
        return Unit(sourced.seq, event, subscription.subscription.subscription_id, action, {}, problem=problem, problem_code="bug")
    return Unit(sourced.seq, event, subscription.subscription.subscription_id, action, fields, batch_key, batch_size)


def batch_of(action: Action, fields: Mapping[str, Any]) -> tuple[str, int]:
    """Batch key and the most events of its request. The one action of a sink (no `perform`) always batches."""
    if action.perform is None:
        return ANY_BATCH, action.batch_size
    if action.perform_batch is None or not (action.batch_always or fields.get("enable_batching") is True):
        return ALONE
    wanted = int(fields.get("batch_size") or 0)
    size = min(action.batch_size, wanted) if wanted > 0 else action.batch_size
    keys = fields.get("batch_keys") or action.batch_keys
    return jsonio.dumps([fields.get(key) for key in keys]).decode() if keys else ANY_BATCH, size
