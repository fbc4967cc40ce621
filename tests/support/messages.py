"""Events as the stages see them, made without a relay."""

import uuid
from typing import Any

from relay.base import jsonio
from relay.base.event import Event, event_of


def event(name: str = "Bought", kind: str = "track", at_ms: int = 1_000, **inner: Any) -> Event:
    """One event of the source `web` with these properties, or traits."""
    part = "traits" if kind in ("identify", "group") else "properties"
    named = {"event": name} if kind == "track" else {"name": name} if kind in ("page", "screen") else {}
    payload = {"type": kind, "messageId": uuid.uuid4().hex, "userId": "u1", part: inner, **named}
    return event_of(payload, "web", at_ms, jsonio.dumps(payload))
