"""What a destination is made of, and the language of its mappings and triggers, and nothing else.

Outside code and tests rely on the names below. Events and fields are plain JSON there; each function raises ConfigError for what is
refused when a workspace is saved, and PayloadError for what an event makes wrong.
"""

from relay.kit.fields import coerce_fields
from relay.kit.fql import match_filter, match_trigger
from relay.kit.js import ABSENT
from relay.kit.mapping import resolve_mapping

__all__ = ["ABSENT", "coerce_fields", "match_filter", "match_trigger", "resolve_mapping"]
