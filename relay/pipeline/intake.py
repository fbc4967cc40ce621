"""Intake, before the commit: messages of one request become events, or refusals with a code. Pure: no clock, no chance, no I/O.

Promises: a bad message never costs the rest of its batch, nothing that a client can send raises, and what is accepted can be written
again (`Event.body` is the one encoding that everybody reads later). The messages are changed in place. Called by web.tracking.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from relay.base.event import Event
from relay.errors import EncryptionError
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.decision import Refusal
from relay.pipeline.stages.normalize import Arrival, Client, normalize, parse_time, time_text
from relay.pipeline.stages.validate import MAX_DEPTH, is_too_deep, problem_of
from relay.workspace.suppressions import NOBODY, Suppressions

__all__ = ["Client", "Limits", "accept", "time_text"]

_ADDED = ("receivedAt", "version", "originalTimestamp")
"""Fields of fixed size that relay adds; they do not count against the limit that the client keeps on its side."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one event may be."""

    max_event_bytes: int = 32_768


def accept(
    messages: list[Any],
    envelope: Mapping[str, Any],
    source: CompiledSource,
    *,
    received_ms: int,
    received_text: str,
    client: Client,
    limits: Limits,
    new_id: Callable[[], str],
    kind: str | None = None,
    suppressions: Suppressions = NOBODY,
) -> tuple[list[Event], list[Refusal]]:
    """Validate and normalise the messages of one request.

    `envelope`: the body of a batch (its `context`, `integrations` and `sentAt` are the items' defaults), empty for a single event.
    `kind`: the type that the path names; it wins over the message's. `received_text`: `received_ms` as `time_text` prints it.
    `suppressions`: whose messages are refused; what a refusal tells of them names neither user nor content.
    """
    events: list[Event] = []
    refusals: list[Refusal] = []
    if not source.source.enabled:
        return events, [Refusal(index, "source_disabled", _id_of(message)) for index, message in enumerate(messages)]
    arrival = _arrival(envelope, received_ms, received_text, client, new_id)
    if (arrival.context or arrival.integrations) and is_too_deep([arrival.context, arrival.integrations]):
        return events, [Refusal(index, "too_deep", _id_of(message)) for index, message in enumerate(messages)]
    source_id, max_bytes, dumps, redact = source.source.source_id, limits.max_event_bytes, orjson.dumps, source.redact
    listed = suppressions if suppressions else None
    for index, message in enumerate(messages):
        if message.__class__ is not dict:
            refusals.append(Refusal(index, "bad_request", ""))
            continue
        if kind is not None:
            message["type"] = kind
        if code := problem_of(message):
            refusals.append(Refusal(index, code, _id_of(message)))
            continue
        normalize(message, arrival)
        if listed is not None and (named := _suppressed(message, listed)):
            refusals.append(Refusal(index, "suppressed", _id_without(message, named)))
            continue
        if redact is not None:
            try:
                message = redact(message)
            except Exception as error:  # fence: what cannot be searched for sensitive fields is not stored
                code = error.code if isinstance(error, EncryptionError) else "too_deep" if is_too_deep(message) else "INTERNAL"
                refusals.append(Refusal(index, code, message["messageId"]))
                continue
        try:
            body = dumps(message)
        except TypeError:  # nested beyond what orjson writes, or text that is no Unicode (a pixel's address can hold some)
            refusals.append(Refusal(index, "too_deep" if is_too_deep(message) else "bad_request", _id_of(message)))
            continue
        # more than 64 levels need more than 32 objects, or an array right inside an array
        if (body.count(b"{") > MAX_DEPTH // 2 or b"[[" in body or b",[" in body) and is_too_deep(message):
            refusals.append(Refusal(index, "too_deep", _id_of(message)))
            continue
        if len(body) > max_bytes and _client_bytes(message) > max_bytes:
            refusals.append(Refusal(index, "event_too_large", message["messageId"]))
            continue
        event_type = message["type"]
        name = message["event"] if event_type == "track" else message.get("name") or "" if event_type in ("page", "screen") else ""
        user, anonymous = message.get("userId", ""), message.get("anonymousId", "")
        events.append(Event(message["messageId"], source_id, event_type, name, user, anonymous, received_ms, None, body))
    return events, refusals


def _arrival(envelope: Mapping[str, Any], received_ms: int, received_text: str, client: Client, new_id: Callable[[], str]) -> Arrival:
    """What the messages share; defaults of a batch that are no objects are as good as absent."""
    context, integrations = envelope.get("context"), envelope.get("integrations")
    sent_at = envelope.get("sentAt")
    sent_us, sent_text = (None, "") if sent_at is None else parse_time(sent_at)
    return Arrival(
        received_ms=received_ms,
        received_text=received_text,
        client=client,
        context=context if isinstance(context, dict) and context else None,
        integrations=integrations if isinstance(integrations, dict) and integrations else None,
        sent_us=sent_us,
        sent_text=sent_text,
        new_id=new_id,
    )


def _client_bytes(message: dict[str, Any]) -> int:
    return len(orjson.dumps({key: value for key, value in message.items() if key not in _ADDED}))


def _suppressed(message: Mapping[str, Any], suppressions: Suppressions) -> str:
    """The suppressed id that a normalised message carries: of its user, or the previous one of an alias; empty: none."""
    ids = (message.get("userId"), message.get("previousId") if message["type"] == "alias" else None)
    return next((user_id for user_id in ids if user_id and suppressions.holds(user_id)), "")


def _id_without(message: Mapping[str, Any], user_id: str) -> str:
    """The messageId, unless a client has put the user's id into it."""
    message_id: str = message["messageId"]
    return "" if user_id in message_id else message_id


def _id_of(message: Any) -> str:
    message_id = message.get("messageId") if isinstance(message, dict) else None
    return message_id if isinstance(message_id, str) else ""
