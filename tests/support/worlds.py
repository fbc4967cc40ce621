"""Hypothesis strategies of governance: messages that hold whatever JSON can, and workspaces with rules of all kinds at once."""

from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from relay.base import jsonio
from relay.base.event import TYPES, Event, event_of
from relay.base.secret import Secret
from relay.kit.encryption import new_pair
from relay.kit.matchers import Matcher
from relay.workspace.model import Destination, Source, Subscription, Workspace
from relay.workspace.rules import (
    EventSetting,
    Filter,
    FilterAction,
    Hashing,
    Plan,
    PlanRule,
    PrivacyRules,
    SchemaSettings,
    Transformation,
    TypeSettings,
)
from tests.support.privacy import privacy_rules

careful = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def stored(message: dict[str, Any]) -> Event:
    """The event as it is in the log."""
    body = jsonio.dumps(message)
    return event_of(jsonio.loads(body), "web", 0, body)


# --- messages ----------------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "c", "email", "a.b", "x.y", "", ".", "$", "0", "__proto__", "constructor", "größe", "\u202e\u0000", "🎈"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "A", "größe", "a@b.example", "0x" + "f" * 40, "9" * 400, "²³", "4²11 1111 1111 1111", "\u0000", "2026-01-02T03:04:05Z"]),
)  # fmt: skip
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


def nested(levels: int, value: Any) -> Any:
    """`value` in that many objects and lists, in turn."""
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


ODD = st.builds(nested, st.sampled_from([3, 20, 60]), SCALARS) | st.builds(lambda item: [item] * 500, SCALARS)
OBJECT = st.dictionaries(KEYS, JSON | ODD, max_size=4)
CONSENT = st.sampled_from(
    [None, {}, [], False, {"categoryPreferences": {}}, {"categoryPreferences": {"ads": True}}, {"categoryPreferences": {"ads": 1}}]
)
INTEGRATIONS = st.dictionaries(st.sampled_from(["All", "hook", "Hook", "Webhook", ""]), st.booleans() | st.none() | st.just({}), max_size=2)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "messageId": st.sampled_from(["m1", "m2", "m3"]), "event": st.sampled_from(["A", "B"])},
    optional={
        "userId": st.sampled_from(["u1", "u2"]), "name": st.just("A"), "properties": OBJECT, "traits": OBJECT, "integrations": INTEGRATIONS,
        "forwardedFromProject": st.sampled_from(["web", 5]) | JSON,
        "_metadata": JSON,
        "context": st.fixed_dictionaries({}, optional={
            "a": JSON, "ip": st.just("1"), "consent": CONSENT, "traits": OBJECT, "app": JSON, "protocols": JSON | st.just({"event_version": 2}),
        }),
    },
)  # fmt: skip

# --- rules -------------------------------------------------------------------------------------------------------------------

CONDITIONS = st.sampled_from(
    [
        "all", "type = 'track'", "event = 'A'", "properties.a = 1", "!(type in ['page', 'identify'])", "length(properties.b) > 1", "event = 'B' and userId != null",
        "type = 'track' and (event = 'A' or event in ['C', 'B'] and properties.a)", "event = 'A' or type = 'page'", "event in ['B']",
        "!(event = 'A')", "event = 'A' and event = 'B'", "traits.a or properties.c", "'A' in properties.a", "string(properties.a) = '1'", "!contains(properties.a, 'A')", "type = 'group' or type != 'page'",
    ]
)  # fmt: skip
PATHS = st.sampled_from(
    ["a", "b", "properties.a", "properties.b", "properties.a.b", "traits.a", "context.a", r"properties.x\.y", "properties.a.b.c", "context.ip"]
)
ACTIONS = st.one_of(
    st.builds(FilterAction, st.just("SAMPLE"), st.sampled_from([0, 0.3, 1]), st.sampled_from(["", "userId", "properties.a"])),
    st.just(FilterAction("DROP")),
    st.builds(
        lambda kind, fields: FilterAction(kind, fields=fields),
        st.sampled_from(["DROP_PROPERTIES", "ALLOW_PROPERTIES"]),
        st.dictionaries(
            st.sampled_from(["", "properties", "properties.a", "context", "traits.a.b"]), st.lists(KEYS | st.just("userId"), max_size=2).map(tuple)
        ),
    ),
)
FILTERS = st.builds(Filter, CONDITIONS, st.lists(ACTIONS, min_size=1, max_size=2).map(tuple), st.sampled_from(["", "T"]), st.booleans())
HASHINGS = st.builds(
    Hashing,
    st.sampled_from(["MD5", "SHA256"]),
    st.lists(PATHS, max_size=2).map(tuple),
    st.sampled_from(["HEX", "BASE64"]),
    st.sampled_from([Secret(""), Secret("k")]),
)
TOP = st.tuples(st.sampled_from(["event", "name", "userId", "anonymousId", "groupId", "timestamp", "channel"]), st.sampled_from(["", "x", "größe"]))
"""Texts of the message itself."""
TRANSFORMATIONS = st.builds(
    Transformation, CONDITIONS, st.just("N"), st.booleans(), st.sampled_from([False, False, True]), st.sampled_from(["", "B"]),
    st.lists(st.tuples(PATHS, PATHS), max_size=2).map(tuple), st.lists(st.tuples(PATHS, JSON) | TOP, max_size=2).map(tuple),
    st.lists(st.tuples(PATHS, st.sampled_from(["lowercase(properties.a)", "properties.b", "type", "properties.a = 1", "number(properties.a)", "string(properties)"])), max_size=1).map(tuple),
    st.none() | st.lists(PATHS, max_size=2).map(tuple), st.none() | HASHINGS,
)  # fmt: skip
SETTINGS = st.builds(TypeSettings, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["ALLOW", "BLOCK", "OMIT"]))
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("object"),
        "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        "properties": st.dictionaries(
            st.sampled_from(["a", "b", "c", "__proto__", ""]),
            st.sampled_from([
                {"type": "integer"}, {"multipleOf": 0.01}, {"maximum": 1e300}, {"type": "string", "pattern": "^[A-Z]", "format": "date-time"},
                {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}, {"uniqueItems": True}, {"const": 2**63},
                {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"enum": [1, "A", None]}}}}}, {"$ref": "#"},
            ]),
            max_size=3,
        ),
        "additionalProperties": st.booleans(),
        "propertyNames": st.just({"maxLength": 3}),
        "patternProperties": st.just({"^x": {"type": "number"}}),
    },
)  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan with rules of every type, and two versions of one."""
    routed = draw(st.sampled_from([{}, {}, {"x-destinations": ["hook"]}, {"x-destinations": ["store"]}]))
    rules = [
        PlanRule("TRACK", {"properties": {"properties": draw(FIELDS)}, **routed}, "A"),
        PlanRule("TRACK", {"properties": {"properties": draw(FIELDS)}}, "A", 2),
        PlanRule("IDENTIFY", {"properties": {"traits": draw(FIELDS)}}),
        PlanRule("GROUP", {"properties": {"traits": draw(FIELDS)}}),
        PlanRule("PAGE", {"properties": {"properties": draw(FIELDS)}}),
        PlanRule("COMMON", {"properties": {"context": draw(FIELDS), "properties": draw(FIELDS)}}),
    ]
    return Plan("plan", "Plan", tuple(rule for rule in rules if draw(st.sampled_from([True, True, False]))))


_, PUBLIC_KEY = new_pair(2048)
OWN: Final = (Matcher("badge", "red", pattern="A+"), Matcher("gross", "yellow", ("große",), similar=True))
ENTRIES = st.lists(
    st.sampled_from(["red", "yellow", "email", "a", "context.ip", "properties.a.b", "traits.a", "badge", "gross", r"properties.a\.b"]), max_size=2
)
"""How a privacy table lists fields."""
EXACT = st.lists(st.sampled_from(["email", "b", "traits.b", "properties.a"]), max_size=2)
"""What may be encrypted."""


def _privacy(block: list[str], mask: list[str], hashed: list[str], encrypt: list[str]) -> PrivacyRules:
    lists: dict[str, Any] = {"block": block, "mask": mask, "hash": hashed} | ({"encrypt": encrypt, "public_key": PUBLIC_KEY} if encrypt else {})
    return privacy_rules(OWN, **lists)


AT_SOURCE = st.just(PrivacyRules()) | st.builds(_privacy, ENTRIES, ENTRIES, ENTRIES, st.just([]))
AT_DESTINATION = st.just(PrivacyRules()) | st.builds(_privacy, ENTRIES, ENTRIES, ENTRIES, st.just([]) | EXACT)
TABLES = st.lists(
    st.sampled_from(["tracks", "a", "b", "users", "identifies", "users.a", "pages", "accounts", "groups", "aliases"]), max_size=5, unique=True
)


@st.composite
def workspaces(draw: st.DrawFn) -> Workspace:
    """Two sources, the second of which hears of violations and blocked events of the first; a webhook and a warehouse for both."""
    events = {"B": EventSetting(draw(st.booleans()), draw(st.dictionaries(st.sampled_from(["hook", "store"]), st.booleans(), max_size=1)))}
    schema = SchemaSettings(
        draw(SETTINGS), draw(SETTINGS), draw(SETTINGS), *draw(st.sampled_from([("", ""), ("other", "other"), ("other", "")])),
        events=events, traits={"a": draw(st.booleans())}, group_traits={"": draw(st.booleans())}, enforce_destinations=draw(st.booleans()),
    )  # fmt: skip
    plan = draw(st.sampled_from(["plan", "plan", ""]))
    strict = SchemaSettings(TypeSettings(False, False, False, False, "BLOCK"), blocked_to=draw(st.sampled_from(["", "third"])))
    sources = (
        Source("web", "web", "Web", ("k",), plan=plan, schema=schema, transformations=draw(CHANGES), privacy=draw(AT_SOURCE)),
        Source("other", "other", "Other", ("o",), plan=plan, schema=strict, privacy=draw(AT_SOURCE)),
        Source("third", "third", "Third", ("t",)),
    )
    ids = ("web", "other", "third")
    trigger = draw(st.sampled_from(["all", "all", 'type = "track"', 'event = "B"', "properties.a != null"]))
    destinations = (
        Destination(
            "hook", "hook", "Hook", "webhook", ids, settings={"url": "https://hooks.example/"}, filters=draw(st.lists(FILTERS, max_size=3).map(tuple)),
            transformations=draw(CHANGES), consent_categories=draw(st.sampled_from([(), ("ads",)])), privacy=draw(AT_DESTINATION),
            subscriptions=(Subscription("s", "S", "send", trigger, {}),),
        ),
        Destination(
            "store", "store", "Store", "postgres", ids, settings={"url": Secret("postgresql://u:p@db.example/events")}, transformations=draw(CHANGES),
            privacy=draw(AT_DESTINATION), sync_exclude=tuple(draw(TABLES)), subscriptions=(Subscription("w", "W", "write", "all", {}),),
        ),
    )  # fmt: skip
    return Workspace(1, sources, destinations, plans=(draw(plans()),), matchers=OWN)


CHANGES = st.lists(TRANSFORMATIONS, max_size=2).map(tuple)
