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
    "suppressed": "the user is suppressed, so what they send is refused and not kept",
    # blocked at the source
    "event_setting": "the source's schema blocks events of this name",
    "unplanned": "the tracking plan has no rule for this event",
    "schema_violation": "the event breaks its rule of the tracking plan",
    "unplanned_and_schema_violation": "the event has properties that are not planned, and breaks its rule of the tracking plan",
    "common_schema_violation": "the event breaks the rule for all events of the tracking plan",
    # dropped on the way to a destination
    "FILTERED_BY_RULES": "a filter or a transformation drops the event, or the plan names other destinations for it",
    "FILTERED_BY_END_USER_CONSENT": "the end user has not consented to the categories of the destination",
    "FAILED_DATA_ENCRYPTION": "a field could not be encrypted, so the event is not sent",
    "INTERNAL": "a rule failed on this event, so it is not sent",
    "UNSUPPORTED_EVENT_TYPE": "the destination does not take calls of this type",
    "FILTERED_BY_INTEGRATIONS_OBJECT": "the event's integrations object switches the destination off",
    "MESSAGE_SENT_CLIENT_SIDE": "the browser has sent the event to this destination itself (_metadata.bundled)",
    "NO_MATCHING_MAPPING": "no trigger of the destination matches",
    "FILTERED_AT_MAPPING": "the mapping leaves nothing to send",
    "destination_disabled": "the destination is switched off",
    "looped": "the event has passed this write key before (context.repeatChain)",
    "about_itself": "the alert is about this very destination, so others carry it",
    "not_connected": "the destination does not listen to the event's source",
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
    "unsure": "it may have been sent, and this action must not send it twice",
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

ADVICE: Final[dict[str, str]] = {
    # refused at ingest
    "unknown_type": "Send type as one of identify, track, page, screen, group, alias.",
    "no_user_anon_id": "Send userId for known people and anonymousId for everybody else.",
    "id_required": "Send groupId with group calls, and previousId with alias calls.",
    "id_not_string": "Send ids as strings.",
    "id_too_long": "Use a messageId of at most 100 characters, a UUID for example.",
    "event_not_defined": "Give track calls an event name.",
    "event_not_string": "Send the event name as a string.",
    "properties_not_object": "Send properties as an object of names and values.",
    "traits_not_object": "Send traits as an object of names and values.",
    "context_not_object": "Send context as an object.",
    "integrations_not_object": "Send integrations as an object of destination names and switches.",
    "name_not_string": "Send the page or screen name as a string.",
    "category_not_string": "Send category as a string.",
    "event_too_large": "Send less per event, or raise max_event_bytes in [server].",
    "too_deep": "Flatten the event; more than 64 levels are usually an object that holds itself.",
    "bad_request": "Send each message as a JSON object.",
    "source_disabled": "Switch the source on in its file, or stop sending to its write key.",
    "duplicate": "Nothing is lost; give each new event its own messageId if it was meant to be a different one.",
    "suppressed": "Lift the suppression of the user if the events are wanted again: relay forget USER_ID --type unsuppress.",
    # blocked at the source
    "event_setting": "Allow the event in the source's schema if it is wanted.",
    "unplanned": "Add a rule for the event to the plan, or correct its name in the code that sends it.",
    "schema_violation": "Correct the code that sends it, or the rule; context.protocols of the event names what is wrong.",
    "unplanned_and_schema_violation": "Add the properties to the rule, or correct the code that sends it.",
    "common_schema_violation": "Correct the code that sends it, or the plan's COMMON rule.",
    # dropped on the way to a destination
    "FILTERED_BY_RULES": "Look at the destination's filters and transformations, and at x-destinations of the event's rule, if it should get the event.",
    "FILTERED_BY_END_USER_CONSENT": "Nothing to do; the end user decides. Check consent_categories if all events end here.",
    "FAILED_DATA_ENCRYPTION": "Check the public key in the destination's privacy table, then replay the events.",
    "INTERNAL": "Look at the event's page: it says which rule fails and why. Mend or report it, then replay the events.",
    "UNSUPPORTED_EVENT_TYPE": "Nothing to do, unless another destination should get calls of this type.",
    "FILTERED_BY_INTEGRATIONS_OBJECT": "Remove the destination from integrations in the code that sends, if it should get the event.",
    "MESSAGE_SENT_CLIENT_SIDE": "Nothing to do; remove the destination from the browser's bundle if relay should send instead.",
    "NO_MATCHING_MAPPING": "Add a mapping whose trigger matches the event, or widen a trigger.",
    "FILTERED_AT_MAPPING": "Map at least one field that the event has.",
    "destination_disabled": "Switch the destination on, then replay what it missed.",
    "looped": "Break the circle: two relays forward to each other.",
    "not_connected": "List the source in the destination's sources if it should get the events.",
    "about_itself": "Nothing to do; let a second destination take the source relay, so that somebody hears of it.",
    # delivery
    "PAYLOAD_VALIDATION_FAILED": "Compare the event with the action's required fields, mend the mapping, then re-send the dead letters.",
    "RETRY": "Usually temporary; relay keeps trying. Look at the sample if it lasts.",
    "ETIMEDOUT": "Usually temporary; if it lasts, check the receiver's speed or raise timeout_s.",
    "ECONNREFUSED": "Check that the receiver runs and that the port in the settings is right; relay keeps trying.",
    "ECONNRESET": "Usually temporary; if it lasts, look at the receiver's or the proxy's log.",
    "ENOTFOUND": "Check the host name in the settings and the name server of this machine.",
    "ETLS": "Check the receiver's certificate: expired, for another name, or of an unknown authority.",
    "EPROTO": "Check that the address and port belong to an HTTP server.",
    "EIO": "Make room on the disk, or check it; relay keeps trying.",
    "BAD_REQUEST": "Look at the receiver's answer in the sample, mend the mapping, then re-send the dead letters.",
    "unsure": "Look in the receiver whether it arrived; re-send the dead letter if it did not.",
    "redirect": "Put the address that the redirect names into the settings, then re-send the dead letters.",
    "bug": "Report it with the traceback of relay's log, upgrade, then re-send the dead letters.",
    "crash": "Look in relay's log for what stopped it (memory, a kill); re-send the event once that is mended.",
    "parked": "Nothing to do; it goes when the earlier event of this user has gone or is given up.",
    "expired": "Replay from the archive, raise max_db_bytes, and mend the destination that was furthest behind.",
    # hold
    "credentials": "Put a valid key into the settings and reload; what waits is then sent.",
    "gone": "Check the address with the receiver's owner, change it and reload; what waits is then sent.",
    "blocked_address": "List the network in the destination's allow_private if it is meant, or correct the address.",
    "INVALID_SETTINGS": "Fill in the setting that the sample names and reload; what waits is then sent.",
    "refused": "Look at the receiver's answer in the sample, mend settings or mapping, resume, then re-send the dead letters.",
    "user": "Resume the destination when it may go on.",
    "breaker_open": "Nothing to do if the receiver is known to be down: relay probes it, and goes on by itself.",
    # discarded
    "by_hand": "Nothing to do; replay the event if it is wanted after all.",
    "forgotten": "Nothing to do; the event is gone for good.",
    "destination_removed": "Nothing to do; add the destination again and replay if the events are wanted.",
    # plain HTTP statuses
    "400": "Look at the receiver's answer in the sample, mend the mapping, then re-send the dead letters.",
    "404": "Check the address in the settings, then re-send the dead letters.",
    "405": "Check the address and the method in the settings, then re-send the dead letters.",
    "408": "Usually temporary; relay keeps trying.",
    "413": "Send less per event or smaller batches, then re-send the dead letters.",
    "415": "Check the content type that the receiver wants, then re-send the dead letters.",
    "422": "Look at the receiver's answer in the sample, mend the mapping, then re-send the dead letters.",
    "423": "Usually temporary; relay keeps trying.",
    "425": "Usually temporary; relay keeps trying.",
    "429": "The receiver's quota is used up; relay slows down and keeps trying. Set rate_per_s, or ask for a higher quota.",
    "501": "The receiver does not know this call: check the address, then re-send the dead letters.",
}
"""What to do about a code, one or two sentences; `advice_of` also knows the statuses that are not listed."""

ADVICE_AT: Final[dict[tuple[str, str], str]] = {
    ("filters", "FILTERED_BY_RULES"): "Nothing to do if the filter is right; else narrow its condition, then replay what it dropped.",
    ("transform", "FILTERED_BY_RULES"): "Nothing to do if the transformation is right; else narrow its condition, then replay what it dropped.",
    ("plan", "FILTERED_BY_RULES"): "Add the destination to x-destinations of the event's rule if it should get the event, then replay.",
    ("sync", "FILTERED_BY_RULES"): "Take the tables out of exclude in the destination's sync table if they are wanted, then replay.",
    ("schema", "FILTERED_BY_INTEGRATIONS_OBJECT"): "Switch the destination on for this event in the source's schema, if it should get it.",
}
"""The same where one stage that gives the code calls for something else than the others."""


def meaning_of(code: str) -> str:
    """What a code says, for people; a plain HTTP status is told as one, and an unknown code as itself."""
    if code in CODES:
        return CODES[code]
    return f"the receiver answered {code}" if _is_status(code) else code


def advice_of(code: str, stage: str = "") -> str:
    """What to do about a code that a stage gave; empty when nobody wrote it down."""
    if (stage, code) in ADVICE_AT:
        return ADVICE_AT[stage, code]
    if code in ADVICE:
        return ADVICE[code]
    if not _is_status(code):
        return ""
    return "Usually temporary; relay keeps trying." if code.startswith("5") else "Look at the receiver's answer in the sample."


def _is_status(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isdigit()
