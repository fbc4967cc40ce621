"""Calls that a mapping builds anew from single fields, as Segment's own destination of this name has them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from relay.destinations.segment.forward import send
from relay.errors import PayloadError
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, name) for name in names)


def _numbers(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, name, type="number") for name in names)


def _object(name: str, label: str, *properties: Field) -> Field:
    return Field(name, label, type="object", properties=properties)


ID_HELP = "One of user_id and anonymous_id is needed."
USER_ID = Field("user_id", "User id", help=ID_HELP)
ANONYMOUS_ID = Field("anonymous_id", "Anonymous id", help=ID_HELP)
TIMESTAMP = Field("timestamp", "Time", help="ISO 8601; left out: the event's own.")
GROUP_ID = Field("group_id", "Group id")
TIMEZONE = Field("timezone", "Time zone")
PROPERTIES = Field("properties", "Properties", type="object")
TRAITS = Field("traits", "Traits", type="object")
MESSAGE_ID = Field("message_id", "Message id", default={"@path": "$.messageId"}, help="The receiver recognises by it what arrives twice.")
CONSENT = Field("consent", "Consent", type="object", default={"@path": "$.context.consent"})
ADDRESS = _object("address", "Address", *_texts("street", "city", "state", "country", "postalCode"))
AROUND: Final = (
    _object("application", "App", *_texts("name", "version", "build", "namespace")),
    _object("campaign_parameters", "Campaign", *_texts("name", "source", "medium", "term", "content")),
    _object(
        "device", "Device",
        *_texts("id", "advertising_id"), Field("adTracking_Enabled", "adTracking_Enabled", type="boolean"),
        *_texts("manufacturer", "model", "name", "type", "token"),
    ),
    Field("ip_address", "IP address"),
    Field("locale", "Locale"),
    _object("location", "Location", *_texts("city", "country"), *_numbers("latitude", "longitude", "speed")),
    _object(
        "network", "Network",
        Field("bluetooth", "bluetooth", type="boolean"), Field("carrier", "carrier"),
        Field("cellular", "cellular", type="boolean"), Field("wifi", "wifi", type="boolean"),
    ),
    _object("operating_system", "Operating system", *_texts("name", "version")),
    _object("page", "Page", *_texts("path", "referrer", "search", "title", "url")),
    _object("screen", "Screen", *_numbers("density", "height", "width")),
    Field("user_agent", "User agent"),
)  # fmt: skip
"""What is the same for every call: it becomes the context."""
CONTEXT: Final[Mapping[str, str]] = {
    "application": "app", "campaign_parameters": "campaign", "consent": "consent", "device": "device", "ip_address": "ip", "locale": "locale",
    "location": "location", "network": "network", "operating_system": "os", "page": "page", "screen": "screen", "user_agent": "userAgent",
    "timezone": "timezone",
}  # fmt: skip
PAGE_PARTS: Final = ("path", "referrer", "search", "title", "url")

Body = Callable[[Mapping[str, Any]], dict[str, Any]]


def _call(kind: str, own: Body, *, has_group: bool = True) -> Callable[[Delivery], dict[str, Any]]:
    """The function from fields to a message of this type; `own`: what only this type has."""

    def build(delivery: Delivery) -> dict[str, Any]:
        fields = delivery.fields
        if not fields.get("user_id") and not fields.get("anonymous_id"):
            raise PayloadError("the message has neither user_id nor anonymous_id", field="user_id")
        context = {key: fields[name] for name, key in CONTEXT.items() if name in fields}
        if has_group and "group_id" in fields:
            context["groupId"] = fields["group_id"]
        ids = {"userId": fields.get("user_id"), "anonymousId": fields.get("anonymous_id")}
        ids |= {"timestamp": fields.get("timestamp"), "messageId": fields.get("message_id")}
        return {key: value for key, value in (ids | own(fields)).items() if value is not None} | {"context": context, "type": kind}

    return build


def _identify(fields: Mapping[str, Any]) -> dict[str, Any]:
    address = {"address": fields["address"]} if fields.get("address") else {}
    return {"traits": dict(fields.get("traits") or {}) | address}


def _group(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"groupId": fields["group_id"], "traits": fields.get("traits") or {}}


def _track(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": fields["event_name"], "properties": fields.get("properties") or {}}


def _screen(fields: Mapping[str, Any]) -> dict[str, Any]:
    name = fields.get("screen_name")
    return {"name": name, "properties": ({"name": name} if name else {}) | dict(fields.get("properties") or {})}


def _page(fields: Mapping[str, Any]) -> dict[str, Any]:
    page = fields.get("page") or {}
    said = {"name": fields.get("page_name"), "category": fields.get("page_category")} | {part: page.get(part) for part in PAGE_PARTS}
    properties = {key: value for key, value in said.items() if value is not None} | dict(fields.get("properties") or {})
    return {"name": fields.get("page_name"), "category": fields.get("page_category"), "properties": properties}


def _track_traits(build: Callable[[Delivery], dict[str, Any]]) -> Callable[[Delivery], dict[str, Any]]:
    """The traits of a track call stand in its context."""

    def with_traits(delivery: Delivery) -> dict[str, Any]:
        message, traits = build(delivery), delivery.fields.get("traits")
        if traits:
            message["context"]["traits"] = traits
        return message

    return with_traits


def _action(slug: str, kind: str, title: str, fields: tuple[Field, ...], build: Callable[[Delivery], dict[str, Any]]) -> Action:
    def perform_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
        return send(settings, deliveries, build)

    return Action(
        slug=slug,
        title=title,
        description=f"Builds {'an' if kind[0] in 'ai' else 'a'} {kind} call from single fields.",
        fields=fields,
        default_trigger=f'type = "{kind}"',
        perform=lambda settings, delivery: perform_batch(settings, [delivery]),
        perform_batch=perform_batch,
        batch_size=100,
        batch_always=True,
    )


HEAD = (USER_ID, ANONYMOUS_ID)
TAIL = (MESSAGE_ID, CONSENT)
BUILT: Final = (
    _action(
        "sendIdentify", "identify", "Send identify",
        (*HEAD, TIMESTAMP, *AROUND, TIMEZONE, GROUP_ID, TRAITS, *TAIL, ADDRESS), _call("identify", _identify),
    ),
    _action(
        "sendGroup", "group", "Send group",
        (*HEAD, Field("group_id", "Group id", required=True), TIMESTAMP, *AROUND, TIMEZONE, TRAITS, *TAIL), _call("group", _group, has_group=False),
    ),
    _action(
        "sendScreen", "screen", "Send screen",
        (*HEAD, TIMESTAMP, Field("screen_name", "Screen name"), *AROUND, TIMEZONE, GROUP_ID, PROPERTIES, *TAIL), _call("screen", _screen),
    ),
    _action(
        "sendPage", "page", "Send page",
        (*HEAD, TIMESTAMP, Field("page_name", "Page name"), Field("page_category", "Category"), *AROUND, TIMEZONE, GROUP_ID, PROPERTIES, *TAIL),
        _call("page", _page),
    ),
    _action(
        "sendTrack", "track", "Send track",
        (*HEAD, TIMESTAMP, Field("event_name", "Event name", required=True), *AROUND, TIMEZONE, GROUP_ID, PROPERTIES, TRAITS, *TAIL),
        _track_traits(_call("track", _track)),
    ),
)  # fmt: skip
