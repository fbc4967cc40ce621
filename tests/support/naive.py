"""A dry run the slow way: every event run as a whole under both versions, and compared."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from relay.base.event import Event
from relay.pipeline.compiled import Compiled
from relay.pipeline.decision import Drop
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import plan_unit
from relay.pipeline.source_side import source_side


def naive(events: Iterable[Event], before: Compiled, after: Compiled, sent_s: float) -> dict[str, Counter[str]]:
    """By destination: `unchanged`, `changed`, `dropped <code>`, `added <code>`, `requests`."""
    found: dict[str, Counter[str]] = {name: Counter() for name in {**before.destinations, **after.destinations}}
    for event in events:
        for name, counts in found.items():
            was, now = outcome(event, before, name, sent_s), outcome(event, after, name, sent_s)
            if was == now == "not_connected":
                continue
            if isinstance(was, str) and isinstance(now, str):
                counts["unchanged"] += 1
            elif isinstance(now, str):
                counts[f"dropped {now}"] += 1
            elif isinstance(was, str):
                counts[f"added {was}"] += 1
            else:
                counts["unchanged" if was == now else "changed"] += 1
            if not isinstance(now, str) and was != now:
                counts["requests"] += sum(len(one[4]) for one in now if isinstance(one, list))
    return found


def outcome(event: Event, side: Compiled, name: str, sent_s: float) -> str | list[Any]:
    """Why nothing is sent, or all that is."""
    destination, origin = side.destinations.get(name), side.sources.get(event.source_id)
    if destination is None or event.source_id not in destination.source_ids:
        return "not_connected"
    if origin is not None and not origin.source.enabled:
        return "source_disabled"
    units = destination_side(source_side(1, event, origin), destination)
    if isinstance(units, Drop):
        return units.code
    plans = [plan_unit(unit, destination, sent_s=sent_s) for unit in units]
    if all(plan.code for plan in plans):
        return plans[0].code
    stored = [unit.event.payload for unit in units if unit.action is not None and unit.action.perform is None]
    return [[plan.subscription_id, plan.action, plan.code, plan.fields, plan.requests] for plan in plans] + stored


def counted(told: dict[str, Any]) -> dict[str, Counter[str]]:
    """What a comparison tells, in the same form."""
    return {
        one["slug"]: Counter(
            {
                "unchanged": one["unchanged"],
                "changed": one["changed"],
                "requests": one["requests"],
                **{f"{kind} {code}": count for kind in ("dropped", "added") for code, count in one[kind].items()},
            }
        )
        for one in told["destinations"]
    }
