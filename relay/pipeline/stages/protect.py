"""What a destination does not get of an event that it takes: excluded tables and columns of a warehouse, sensitive fields."""

from collections.abc import Sequence

from relay.pipeline.decision import Rewrite
from relay.workspace.rules import PrivacyRules


def compile_selection(exclude: Sequence[str]) -> Rewrite | None:
    """Selective sync of a warehouse: `exclude` names tables, and columns as `table.column`. None: everything is synced."""
    return None


def compile_protection(rules: PrivacyRules) -> Rewrite | None:
    """The destination's privacy rules; an encryption that fails is a Drop with FAILED_DATA_ENCRYPTION. None: no rules. Raises ConfigError."""
    return None
