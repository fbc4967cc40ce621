"""The validation stage: is this message one of Segment's six calls? Pure, changes nothing, called by intake for each message.

`problem_of` answers with a code of `base.codes`, or with an empty text. The order of the checks is the order in which a person would mend them.
"""

from collections.abc import Mapping
from typing import Any

from relay.base.event import TYPES

MAX_ID_CHARS = 100
MAX_DEPTH = 64
"""orjson reads 1,024 levels and writes 254: what is accepted must be possible to write again, with room for what destinations add."""

_TYPES = frozenset(TYPES)
_ID_TYPES = (str, int, float)


def problem_of(message: Mapping[str, Any]) -> str:
    """Why the message is refused, as a code; empty when it is a good one. null and "" count as absent."""
    get = message.get
    kind = get("type")
    if kind.__class__ is not str or kind not in _TYPES:
        return "unknown_type"
    message_id = get("messageId")
    if message_id is not None:
        if message_id.__class__ not in _ID_TYPES:
            return "id_not_string"
        if message_id.__class__ is str and len(message_id) > MAX_ID_CHARS:
            return "id_too_long"
    user, anonymous = get("userId"), get("anonymousId")
    if (user is not None and user.__class__ not in _ID_TYPES) or (anonymous is not None and anonymous.__class__ not in _ID_TYPES):
        return "id_not_string"
    if (user is None or user == "") and (anonymous is None or anonymous == ""):
        return "no_user_anon_id"
    context = get("context")
    if context is not None:
        if context.__class__ is not dict:
            return "context_not_object"
        traits = context.get("traits")
        if traits is not None and traits.__class__ is not dict:
            return "traits_not_object"
    integrations = get("integrations")
    if integrations is not None and integrations.__class__ is not dict:
        return "integrations_not_object"
    return _CHECKS[kind](message)


def _track(message: Mapping[str, Any]) -> str:
    event = message.get("event")
    if event is None or event == "":
        return "event_not_defined"
    return "event_not_string" if event.__class__ is not str else _properties(message)


def _page(message: Mapping[str, Any]) -> str:
    name, category = message.get("name"), message.get("category")
    if name is not None and name.__class__ is not str:
        return "name_not_string"
    if category is not None and category.__class__ is not str:
        return "category_not_string"
    return _properties(message)


def _properties(message: Mapping[str, Any]) -> str:
    properties = message.get("properties")
    return "" if properties is None or properties.__class__ is dict else "properties_not_object"


def _identify(message: Mapping[str, Any]) -> str:
    traits = message.get("traits")
    return "" if traits is None or traits.__class__ is dict else "traits_not_object"


def _group(message: Mapping[str, Any]) -> str:
    return _needs_id(message.get("groupId")) or _identify(message)


def _alias(message: Mapping[str, Any]) -> str:
    return _needs_id(message.get("previousId"))


def _needs_id(value: Any) -> str:
    if value is None or value == "":
        return "id_required"
    return "" if value.__class__ in _ID_TYPES else "id_not_string"


_CHECKS = {"track": _track, "page": _page, "screen": _page, "identify": _identify, "group": _group, "alias": _alias}


def is_too_deep(value: Any) -> bool:
    """Whether objects and arrays nest deeper than MAX_DEPTH; goes level by level, so depth itself cannot hurt."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if node.__class__ is dict else node)
            if child.__class__ is dict or child.__class__ is list
        ]
        if not level:
            return False
    return True
