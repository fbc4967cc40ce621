"""Sensitive fields: blocked, masked, hashed or encrypted, in context, traits and properties (semantics page 6).

Of a source this runs before the commit, so what is blocked never reaches the disk; of a destination after the trigger, before the mapping.
"""

from collections.abc import Callable
from typing import Any

from relay.workspace.rules import PrivacyRules

Redact = Callable[[dict[str, Any]], dict[str, Any]]


def compile_redaction(rules: PrivacyRules) -> Redact | None:
    """Message to message; what it is given is not changed, and is handed back itself when nothing is found. None: no rules. Raises ConfigError."""
    return None
