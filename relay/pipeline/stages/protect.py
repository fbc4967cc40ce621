"""What a destination does not get of an event that it takes: sensitive fields."""

from relay.pipeline.decision import Rewrite
from relay.workspace.rules import PrivacyRules


def compile_protection(rules: PrivacyRules) -> Rewrite | None:
    """The destination's privacy rules; an encryption that fails is a Drop with FAILED_DATA_ENCRYPTION. None: no rules. Raises ConfigError."""
    return None
