"""Transformations of a source or a destination: rename, set, move, allow, hash, drop (semantics page 5)."""

from collections.abc import Sequence

from relay.pipeline.decision import Rewrite
from relay.workspace.rules import Transformation


def compile_transformations(transformations: Sequence[Transformation]) -> Rewrite | None:
    """All transformations of one owner as one step; None when there is nothing to do. Raises ConfigError."""
    return None
