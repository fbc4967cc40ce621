"""Calls of a source that no mapping of a destination takes: what `relay check` remarks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.base.event import TYPES
from relay.errors import Problem
from relay.kit.fql import possible_types
from relay.workspace.model import BUILT_IN_SOURCE

if TYPE_CHECKING:
    from relay.pipeline.compiled import Compiled


@dataclass(frozen=True, slots=True)
class Unreached:
    """Calls of these types reach the destination from none of these sources."""

    destination: str
    sources: tuple[str, ...]
    types: tuple[str, ...]
    is_all: bool
    """Nothing reaches it at all."""

    def problem(self) -> Problem:
        sources = ", ".join(self.sources)
        if self.is_all:
            message = f'destination "{self.destination}": no call of {sources} reaches it, for no mapping takes one'
        else:
            message = f'destination "{self.destination}": no mapping takes {", ".join(self.types)} calls of {sources}'
        return Problem(message, None, "add a mapping, or widen a trigger")


def unreached(compiled: "Compiled") -> Iterator[Unreached]:
    """One per destination that is switched on and has sources; types that its definition does not support do not count."""
    for one in compiled.destinations.values():
        slugs = tuple(compiled.sources[source].source.slug for source in one.destination.source_ids if source in compiled.sources)
        if not one.destination.enabled or not slugs:
            continue
        sent = frozenset(("track",)) if set(one.destination.source_ids) == {BUILT_IN_SOURCE} else one.definition.methods
        taken = frozenset().union(*(possible_types(each.trigger) for each in one.destination.subscriptions if each.enabled))
        missing = tuple(kind for kind in TYPES if kind in sent & one.definition.methods and kind not in taken)
        if missing:
            yield Unreached(one.destination.slug, slugs, missing, is_all=not taken & sent & one.definition.methods)
