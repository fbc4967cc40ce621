"""How often each plan was broken in the last day; what a plan ignores is left out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from relay.base.clock import Clock
from relay.control.drift import sources_of
from relay.pipeline.compiled import Current
from relay.pipeline.derived import VIEWED
from relay.pipeline.inference import CALLS
from relay.workspace.rules import Plan, PlanRule

DAY_S: Final = 86_400.0
FRESH_S: Final = 15.0
"""How old the answer for the front page may be: it is asked every other second."""
Totals = Mapping[tuple[str, str, str, str], int]
"""How many violations, by source id, type of call, name and field."""


class Counts(Protocol):
    """What broke plans, counted."""

    async def totals(self, since_s: float) -> Totals: ...


class PlanTrouble:
    """Counts for the plans page and for the front page."""

    def __init__(self, counts: Counts, current: Current, clock: Clock) -> None:
        self._counts = counts
        self._current = current
        self._clock = clock
        self._told: tuple[float, list[tuple[str, str, int]]] = (float("-inf"), [])

    async def totals(self) -> Totals:
        """Of all plans."""
        return await self._counts.totals(self._clock.now() - DAY_S)

    def broken(self, plan: Plan, totals: Totals) -> Counter[tuple[str, str]]:
        """Violations of one plan by type of call, and name of a track call."""
        sources, counts = sources_of(self._current.compiled.workspace, plan.slug), Counter[tuple[str, str]]()
        ignoring = [rule for rule in plan.rules if rule.ignored]
        for (source_id, call, name, field), count in totals.items():
            if source_id not in sources or any(rule.ignores(field) for rule in rules_for({"type": call, "event": name}, ignoring)):
                continue
            counts[call, name if call == "track" else ""] += count
        return counts

    async def worst(self) -> list[tuple[str, str, int]]:
        """(slug, name, violations) of the plans that were broken, a moment old at most."""
        plans = self._current.compiled.workspace.plans
        if plans and self._clock.monotonic() - self._told[0] >= FRESH_S:
            totals = await self.totals()
            found = [(plan.slug, plan.name or plan.slug, self.broken(plan, totals).total()) for plan in plans]
            self._told = (self._clock.monotonic(), [one for one in found if one[2]])
        return self._told[1] if plans else []


def rules_for(group: Mapping[str, Any], rules: Sequence[PlanRule]) -> Iterator[PlanRule]:
    """Those that a group of violations may be about: those of its event, and the one for all."""
    call, name = group["type"], group["event"]
    for rule in rules:
        if rule.type == "COMMON" or (CALLS.get(rule.type) == call and rule.key in ("", name)) or (rule.key and rule.key == VIEWED.get(call)):
            yield rule
