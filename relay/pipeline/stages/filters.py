"""Destination filters: sample, drop, drop properties, allow properties (semantics page 4)."""

from collections.abc import Sequence

from relay.pipeline.decision import Rewrite
from relay.workspace.rules import Filter


def compile_filters(filters: Sequence[Filter], slug: str) -> Rewrite | None:
    """All filters of the destination `slug` as one step; None when there is nothing to do. Raises ConfigError."""
    return None
