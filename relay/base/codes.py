"""Doors, and every reason code with its meaning. Codes are Segment's where Segment has one (semantics: delivery overview)."""

from enum import StrEnum
from typing import Final


class Door(StrEnum):
    """How an entry leaves; each entry leaves by exactly one."""

    DELIVERED = "delivered"
    FILTERED = "filtered"
    BLOCKED = "blocked"
    DEAD = "dead"
    EXPIRED = "expired"
    DISCARDED = "discarded"


CODES: Final[dict[str, str]] = {
    # refused at ingest
    "unknown_type": "the message has no type, or one that is not a Segment call",
    "no_user_anon_id": "neither userId nor anonymousId is set",
    "id_required": "an id that this call needs is missing (groupId, previousId)",
    "id_not_string": "an id is neither a string nor a number",
    "id_too_long": "messageId is longer than 100 characters",
    "event_not_defined": "a track call without an event name",
    "event_not_string": "the event name is not a string",
    "properties_not_object": "properties is not an object",
    "traits_not_object": "traits is not an object",
    "context_not_object": "context is not an object",
    "integrations_not_object": "integrations is not an object",
    "name_not_string": "the page or screen name is not a string",
    "category_not_string": "category is not a string",
    "event_too_large": "the event is larger than max_event_bytes",
    "too_deep": "the event is nested deeper than 64 levels",
    "bad_request": "the message is not an object",
    "source_disabled": "the source is switched off",
    "duplicate": "a message with this messageId came from this source within 24 hours",
    "suppressed": "the user is suppressed",
    # dropped on the way to a destination
    "UNSUPPORTED_EVENT_TYPE": "the destination does not take calls of this type",
    "FILTERED_BY_INTEGRATIONS_OBJECT": "the event's integrations object switches the destination off",
    "MESSAGE_SENT_CLIENT_SIDE": "the browser has sent the event to this destination itself (_metadata.bundled)",
    "NO_MATCHING_MAPPING": "no trigger of the destination matches",
    "FILTERED_AT_MAPPING": "the mapping leaves nothing to send",
    "destination_disabled": "the destination is switched off",
    "looped": "the event has passed this write key before (context.repeatChain)",
    # delivery
    "delivered": "the receiver has taken it",
    "PAYLOAD_VALIDATION_FAILED": "the event does not fit the fields of the action",
    "RETRY": "the receiver could not be reached, or asks for another try",
    "ETIMEDOUT": "the receiver did not answer in time",
    "ECONNREFUSED": "the receiver refused the connection",
    "ECONNRESET": "the receiver closed the connection before it answered",
    "ENOTFOUND": "the receiver's name could not be resolved",
    "ETLS": "the TLS handshake with the receiver failed",
    "EPROTO": "the receiver's answer was not HTTP",
    "EIO": "the disk is full or failing",
    "BAD_REQUEST": "the receiver refuses this payload",
    "redirect": "the receiver answered with a redirect, which relay does not follow",
    "bug": "relay's own code failed; re-send after the upgrade",
    "crash": "relay stopped three times while this event was being handled",
    "parked": "waits behind an earlier event of the same user",
    "expired": "given up to make room: the database had reached max_db_bytes",
    # hold
    "credentials": "401 or 403: a key is wrong, the events are fine",
    "gone": "410: the receiver was switched off",
    "blocked_address": "the address is private and not listed in allow_private",
    "INVALID_SETTINGS": "a setting that is needed to send is missing or wrong",
    "refused": "20 permanent failures of one status in a row",
    "user": "held by a person",
    "breaker_open": "the receiver fails; relay probes it",
    # discarded
    "by_hand": "a person discarded the dead letter",
    "forgotten": "erased by a deletion request",
    "destination_removed": "the destination was removed seven days ago",
}
"""Every stable code; a plain HTTP status (`"404"`) is a code as well."""
