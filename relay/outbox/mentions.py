"""Whether what is kept beside the log tells of certain users. Pure; the same for every engine."""

from collections.abc import Mapping
from typing import Any

from relay.kit.subjects import Subjects
from relay.outbox.interface import RefusedMessage


def is_about(one: RefusedMessage, users: Subjects) -> bool:
    """Whether a refused message or duplicate is theirs, or names them."""
    if not users.user_ids.isdisjoint((one.user_id, one.anonymous_id)) or any(users.mentions(text) for text in (one.message_id, one.name, one.body)):
        return True
    return users.touches(one.body) and users.owns_message(one.payload)


def is_held_by(state: Mapping[str, Any], users: Subjects) -> bool:
    """Whether the hold in a consumer's state keeps an answer that names them."""
    return users.mentions(str((state.get("hold") or {}).get("sample") or ""))
