"""The JSON schema (draft 7) of a configuration file, for editors and other tools; made from the tables that the readers go by.

Promises: a file that relay takes is valid. The other way round it sees names, types, bounds, choices and what is required; not what needs
more than one place of the file to judge (a source that does not exist, a trigger that cannot be read, a delay above another).
"""

from collections.abc import Iterable
from typing import Any, Final

from relay.base.secret import Secret
from relay.config.table import SPECS, TABLES, SettingSpec
from relay.kit.definition import Action, Catalog, Definition, Setting
from relay.kit.matchers import COLORS
from relay.workspace.alert_rules import KINDS, WINDOW_MAX_M
from relay.workspace.assemble import MAX_KEY
from relay.workspace.destinations import BATCH_FIELDS, SLUG
from relay.workspace.filters import ACTIONS, EXPORTED, FILTERS_MAX, TITLE_MAX
from relay.workspace.options import snake_case
from relay.workspace.privacy import LOOKS_ON, MATCHES, NAME_MAX_CHARS, PATTERN_MAX_CHARS
from relay.workspace.transformations import ALGORITHMS, ENCODINGS, PATHS_MAX, VALUES_MAX

Schema = dict[str, Any]

_TYPES: Final[dict[str, Schema]] = {
    "string": {"type": "string"},
    "secret": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
    "numbers": {"type": "array", "items": {"type": "number"}},
    "object": {"type": "object"},
}
_REFERENCE: Final[Schema] = {"type": "string", "pattern": r"\$"}
"""`${NAME}` and the like: what it stands for is not known here."""


def file_schema(catalog: Catalog) -> Schema:
    """The schema of relay.toml, and of each file in conf.d."""
    tables = {table: _table(owner.__doc__ or "", (spec for spec in SPECS if spec.table == table)) for table, owner in TABLES.items()}
    tables["alerts"]["properties"]["rule"] = _list_of(_rule())
    lists = {"source": _source(), "plan": _plan(), "destination": _destination(catalog), "matcher": _matcher()}
    properties = {**tables, **{name: _list_of(item) for name, item in lists.items()}}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Configuration of relay", **_closed(properties)}


def _table(about: str, specs: Iterable[SettingSpec]) -> Schema:
    return {"description": about, **_closed({spec.name: _value(spec) for spec in specs})}


def _value(spec: SettingSpec) -> Schema:
    """One process setting."""
    value = _typed(spec.type, spec.choices)
    bounds = {name: bound for name, bound in (("minimum", spec.minimum), ("maximum", spec.maximum)) if bound is not None}
    value = {**value, "items": {**value["items"], **bounds}} if spec.type == "numbers" else {**value, **bounds}
    default = {} if isinstance(spec.default, Secret) else {"default": list(spec.default) if isinstance(spec.default, tuple) else spec.default}
    return {"description": f"{spec.help} [{spec.unit}]" if spec.unit else spec.help, **value, **default}


def _typed(kind: str, choices: Iterable[str] = ()) -> Schema:
    if not choices:
        return dict(_TYPES[kind])
    if kind == "list":
        return {"type": "array", "items": _one_of(choices)}
    return _one_of(choices)


def _one_of(words: Iterable[str]) -> Schema:
    return {"anyOf": [{"enum": list(words)}, _REFERENCE]}


def _closed(properties: Schema, required: Iterable[str] = ()) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _slug(about: str) -> Schema:
    return {"description": about, "anyOf": [{"type": "string", "pattern": f"^{SLUG.pattern}$"}, _REFERENCE]}


def _said(kind: str, about: str, **more: Any) -> Schema:
    return {"description": about, **_TYPES[kind], **more}


def _source() -> Schema:
    key = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
    properties = {
        "slug": _slug("the source's short name"),
        "name": _said("string", "shown to people; left out: the slug"),
        "write_key": {"description": "what the SDK is given", **key},
        "write_keys": {"description": "several keys, while one is exchanged", "type": "array", "items": key, "minItems": 1},
        "enabled": _said("boolean", "false: its events are refused", default=True),
        "transformation": _list_of(_transformation()),
        "plan": _said("string", "slug of the plan that its events follow"),
        "schema": _source_schema(),
        "privacy": _privacy("before anything is stored"),
    }
    one_key = {"oneOf": [{"required": ["write_key"]}, {"required": ["write_keys"]}]}
    return {"description": "Where events come from.", **_closed(properties, ["slug"]), **one_key}


def _source_schema() -> Schema:
    switches = {"type": "object", "additionalProperties": {"type": "boolean"}}
    event = _closed(
        {"enabled": _said("boolean", "false: blocked for all", default=True), "integrations": {"description": "by destination", **switches}}
    )
    properties = {
        "track": _strictness("EventProperties", "Properties", "allowUnplannedEvents", "allowEventOnViolations"),
        "identify": _strictness("Traits", "Traits"),
        "group": _strictness("Traits", "Traits"),
        "forwardingViolationsTo": _said("string", "slug of the source that hears of each violation"),
        "forwardingBlockedEventsTo": _said("string", "slug of the source that gets what is blocked"),
        "events": {"description": "by event name", "type": "object", "additionalProperties": event},
        "traits": {"description": "traits of identify; false: left out", **switches},
        "group_traits": {"description": "traits of group; false: left out", **switches},
        "enforce_destinations": _said("boolean", "the x-destinations of a rule are the only ones that get its event", default=False),
    }
    return {"description": "How strict the source is, in Segment's words.", **_closed(properties)}


def _strictness(unplanned: str, violating: str, *events: str) -> Schema:
    names = (*events, f"allowUnplanned{unplanned}", f"allow{violating}OnViolations")
    common = {"type": "string", "pattern": "^(?i:ALLOW|BLOCK|OMIT_PROPERTIES|OMIT_TRAITS)$|\\$", "default": "ALLOW"}
    return _closed({**{name: {"type": "boolean", "default": True} for name in names}, "commonEventOnViolations": common})


def _plan() -> Schema:
    properties = {
        "slug": _slug("the plan's short name"),
        "name": _said("string", "shown to people; left out: the slug"),
        "file": _said("string", "its JSON; the path starts at the folder of the file that names it"),
    }
    return {"description": "A tracking plan.", **_closed(properties, ["slug", "file"])}


def _privacy(when: str) -> Schema:
    hows = {
        "block": "are removed",
        "mask": "become dots",
        "hash": "become their SHA-256, in hex",
        "encrypt": "are encrypted for public_key",
    }
    properties = {how: _said("list", f"fields that {what}: paths, names of matchers, red, yellow, or keys") for how, what in hows.items()}
    properties["public_key"] = _said("string", "PEM of an RSA public key")
    together = {"dependencies": {"public_key": ["encrypt"]}}
    return {"description": f"What happens to sensitive fields {when}.", **_closed(properties), **together}


def _matcher() -> Schema:
    properties = {
        "name": {"description": "its first key, and what rules call it", "type": "string", "minLength": 1, "maxLength": NAME_MAX_CHARS},
        "color": {"description": "left out: only rules that name the matcher mean it", **_one_of(COLORS)},
        "synonyms": _said("list", "further keys"),
        "match": {"description": "similar: keys that are spelled nearly like it count too", **_one_of(MATCHES), "default": "exact"},
        "on": {"description": "what it looks at", **_one_of(LOOKS_ON), "default": "key"},
        "pattern": _said("string", "RE2, anywhere in a value", minLength=1, maxLength=PATTERN_MAX_CHARS),
    }
    return {"description": "How fields of a kind of your own are recognised.", **_closed(properties, ["name"])}


def _rule() -> Schema:
    named = {"enum": [kind.replace("_", " ") for kind in KINDS]}
    shares = [kind for kind, about in KINDS.items() if about.unit == "share"]
    properties = {
        "name": _said("string", "a default's name takes its place; another name makes a further rule"),
        "kind": {"description": "; ".join(f"{kind}: {about.help}" for kind, about in KINDS.items()), **_one_of(KINDS)},
        "threshold": _said("number", "left out: the kind's default", minimum=0),
        "window_m": _said("integer", "[minutes]", minimum=1, maximum=WINDOW_MAX_M),
        "min_events": _said("integer", "with fewer the rule says nothing", minimum=0),
        "subject": _said("string", "slug of the one destination or source that it watches; left out: all"),
        "enabled": _said("boolean", "false switches the rule off", default=True),
    }
    return {
        "description": "When to alert.",
        **_closed(properties),
        "anyOf": [{"required": ["kind"]}, {"required": ["name"], "properties": {"name": named}}],
        **_when("kind", shares, {"properties": {"threshold": {"maximum": 1}}}),
    }


def _filter() -> Schema:
    taken = {"percent": {**_said("number", "share that is kept", minimum=0, maximum=1)}, "path": _said("string", "field whose value decides")}
    taken["fields"] = _said("object", "path of an object (empty: the event) to keys in it", minProperties=1, additionalProperties=_TYPES["list"])
    kinds = [_when("type", [kind], _closed_by(["type", *keys])) for kind, keys in ACTIONS.items()]
    needed = [_when("type", ["SAMPLE"], {"required": ["percent"]}), _when("type", ["DROP_PROPERTIES", "ALLOW_PROPERTIES"], {"required": ["fields"]})]
    action = {**_closed({"type": _one_of(ACTIONS), **taken}, ["type"]), "allOf": kinds + needed}
    properties = {
        "if": _said("string", "FQL: which events; all: every one", minLength=1),
        "actions": {**_list_of(action), "minItems": 1},
        "title": _said("string", "shown to people", maxLength=TITLE_MAX),
        "enabled": _said("boolean", "false: it does nothing", default=True),
        **dict.fromkeys(EXPORTED, True),
    }
    return {"description": "What a destination does not get.", **_closed(properties, ["if", "actions"])}


def _closed_by(names: Iterable[str]) -> Schema:
    return {"propertyNames": {"enum": list(names)}}


def _transformation() -> Schema:
    path = {"type": "string", "minLength": 1}
    paths = {"type": "array", "items": path, "minItems": 1}
    hashing = {
        "algorithm": _one_of(ALGORITHMS),
        "encoding": _one_of(ENCODINGS),
        "key": _said("string", "makes it an HMAC", minLength=1),
        "paths": paths,
    }
    value = _closed({"propertyPaths": {**paths, "maxItems": PATHS_MAX}, "propertyValue": True}, ["propertyPaths", "propertyValue"])
    properties = {
        "if": _said("string", "FQL: which events; all: every one", minLength=1),
        "enabled": _said("boolean", "false: it does nothing", default=True),
        "drop": _said("boolean", "the event goes no further", default=False),
        "newEventName": _said("string", "of a track"),
        "propertyRenames": _list_of(_closed({"oldName": path, "newName": path}, ["oldName", "newName"])),
        "propertyValueTransformations": {**_list_of(value), "maxItems": VALUES_MAX},
        "fqlDefinedProperties": {**_list_of(_closed({"fql": path, "propertyName": path}, ["fql", "propertyName"])), "maxItems": 1},
        "allowProperties": _said("list", "what stays of properties and traits"),
        "hashPropertiesConfiguration": _closed(hashing, ["paths"]),
        **dict.fromkeys(EXPORTED, True),
    }
    return {"description": "Changes to events; paths are full and dotted: properties.total.", **_closed(properties, ["if"])}


def _when(key: str, words: Iterable[str], then: Schema) -> Schema:
    return {"if": {"properties": {key: {"enum": list(words)}}, "required": [key]}, "then": then}


def _destination(catalog: Catalog) -> Schema:
    overrides = {spec.name: _value(spec) for spec in SPECS if spec.table == "delivery"}
    for value in overrides.values():
        value.pop("default", None)
    properties = {
        "slug": _slug("the destination's short name"),
        "name": _said("string", "shown to people; left out: the slug"),
        "type": {"description": "its definition", **_one_of(sorted(catalog))},
        "sources": _said("list", "slugs of sources; left out: all of them"),
        "enabled": _said("boolean", "false: events pass by", default=True),
        "settings": _said("object", "what the definition asks for"),
        "mapping": _list_of(_mapping(catalog)),
        "filter": {**_list_of(_filter()), "maxItems": FILTERS_MAX},
        "transformation": _list_of(_transformation()),
        "consent_categories": _said("list", "the end user must allow all of them"),
        "sync": {
            "description": "Of a warehouse.",
            **_closed({"exclude": _said("list", "tables, and columns as table.column, that it does not get")}),
        },
        "retry_all": _said("boolean", "also retry answers that say the event is refused", default=False),
        "privacy": _privacy("before they are sent"),
        "endpoint": _said("string", "every request goes to this scheme and host instead of its own: a proxy, a test server"),
        "allow_private": _said("list", "private addresses that it may reach, as address:port, network:port or [ipv6]:port"),
        **overrides,
    }
    kinds = [_when("type", [slug], _of_definition(definition)) for slug, definition in catalog.items()]
    return {"description": "Where events go.", **_closed(properties, ["slug", "type"]), "allOf": kinds}


def _mapping(catalog: Catalog) -> Schema:
    actions = {slug: None for definition in catalog.values() for slug in definition.actions}
    properties = {
        "name": _said("string", "makes the mapping's id"),
        "action": {"description": "left out: the only one", **_one_of(actions)},
        "trigger": _said("string", "which events; left out: the action's default", minLength=1),
        "fields": _said("object", "values and directives by field; those left out keep the action's default"),
        "enabled": _said("boolean", "false: nothing is sent by it", default=True),
    }
    return {"description": "One trigger with its action and fields; without any, the definition's presets.", **_closed(properties)}


def _of_definition(definition: Definition) -> Schema:
    """What a destination of one type may say in `settings` and in its mappings."""
    needed = [setting.name for setting in definition.settings if setting.required and setting.default is None]
    options = {name: _option(setting) for setting in definition.settings for name in dict.fromkeys((setting.name, snake_case(setting.name)))}
    settings: Schema = _closed(options)
    if needed:
        settings["allOf"] = [{"anyOf": [{"required": [name]} for name in dict.fromkeys((one, snake_case(one)))]} for one in needed]
    mapping: Schema = {"properties": {"action": _one_of(definition.actions)}}
    if len(definition.actions) == 1:
        mapping["properties"]["fields"] = _fields(next(iter(definition.actions.values())))
    else:
        mapping["required"] = ["action"]
        mapping["allOf"] = [_when("action", [slug], {"properties": {"fields": _fields(action)}}) for slug, action in definition.actions.items()]
    return {"properties": {"settings": settings, "mapping": {"items": mapping}}, **({"required": ["settings"]} if needed else {})}


def _option(setting: Setting) -> Schema:
    value = _typed(setting.type, setting.choices)
    if setting.type == "list":  # one or several
        value = {"anyOf": [value, {"type": "string"}]}
    elif setting.choices and not setting.required:
        value["anyOf"].append({"const": ""})
    about = setting.label + (f": {setting.help}" if setting.help else "")
    default = {} if setting.secret or setting.default is None else {"default": setting.default}
    return {"description": about, **value, **default}


def _fields(action: Action) -> Schema:
    names = [*(field.name for field in action.fields), *(BATCH_FIELDS if action.perform_batch else ())]
    return {"propertyNames": {"enum": names}}
