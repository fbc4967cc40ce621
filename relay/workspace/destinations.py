"""One `[[destination]]` with its mappings: from the tree and its definition to a Destination, every mistake with its place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.config.reading import TableReader, nearest
from relay.config.table import SPECS, DeliverySettings
from relay.config.tree import Tree, child
from relay.errors import Problem
from relay.kit.definition import Action, Catalog, Definition
from relay.kit.url import url_problem
from relay.workspace.allow import FORM, allow_mistake
from relay.workspace.filters import read_filters, read_sync
from relay.workspace.model import BUILT_IN_SOURCE, Destination, RetryLimits, Source, Subscription
from relay.workspace.options import read_options
from relay.workspace.privacy import read_privacy
from relay.workspace.rules import Matcher
from relay.workspace.transformations import read_transformations

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
SLUG_FORM = "up to 64 of a-z, 0-9, _ and -, beginning with a letter or digit"
BATCH_FIELDS = ("enable_batching", "batch_size")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a destination is read against."""

    tree: Tree
    catalog: Catalog
    delivery: DeliverySettings
    sources: Sequence[Source]
    matchers: Sequence[Matcher]
    problems: list[Problem]
    warnings: list[Problem]


def read_slug(reader: TableReader, noun: str) -> str:
    """The slug, or an empty text after a complaint."""
    slug: str = reader.take("slug", "string", "")
    if not slug:
        if "slug" not in reader.table:
            reader.complain(f"a {noun} needs a slug", remedy='add slug = "..."')
    elif not SLUG.fullmatch(slug):
        reader.complain(f"'{slug}' is no slug", "slug", SLUG_FORM)
    return slug


def read_destination(around: Surroundings, path: str, label: str, table: Mapping[str, Any]) -> Destination:
    """The destination at `path`; what is wrong with it stands in `around.problems`."""
    reader = TableReader(around.tree, path, label, around.problems, table)
    slug = read_slug(reader, "destination")
    definition = _definition(reader, around.catalog)
    settings = _options(reader, definition, around)
    subscriptions = _subscriptions(reader, definition, around)
    delivery = _delivery(reader, around.delivery)
    destination = Destination(
        destination_id=slug,
        slug=slug,
        name=reader.take("name", "string", slug) or slug,
        type=definition.slug if definition else "",
        source_ids=_source_ids(reader, around),
        enabled=reader.take("enabled", "boolean", True),
        settings=settings,
        subscriptions=subscriptions,
        consent_categories=_consent_categories(reader),
        filters=read_filters(reader, definition),
        transformations=read_transformations(reader, "destination"),
        privacy=read_privacy(reader, around.matchers),
        sync_exclude=read_sync(reader, definition),
        order=delivery.order,
        concurrency=delivery.concurrency,
        rate_per_s=delivery.rate_per_s,
        max_waiting=delivery.max_waiting,
        retry=RetryLimits(delivery.first_delay_s, delivery.max_delay_s, delivery.give_up_after_s, delivery.min_attempts, delivery.schedule_s),
        retry_all=reader.take("retry_all", "boolean", False),
        timeout_s=delivery.timeout_s,
        response_sample_bytes=delivery.response_sample_bytes,
        allow_private=_allow_private(reader),
        endpoint=_endpoint(reader),
        place=around.tree.places.get(path),
    )
    reader.finish()
    return destination


def _definition(reader: TableReader, catalog: Catalog) -> Definition | None:
    kind: str = reader.take("type", "string", "")
    if kind in catalog:
        return catalog[kind]
    if kind:
        reader.complain(f"unknown type '{kind}'", "type", nearest(kind, catalog) or "one of " + ", ".join(sorted(catalog)))
    elif "type" not in reader.table:
        reader.complain("a destination needs a type", remedy='add type = "webhook", or another of ' + ", ".join(sorted(catalog)))
    return None


def _delivery(reader: TableReader, defaults: DeliverySettings) -> DeliverySettings:
    values = {spec.name: reader.take_spec(spec, getattr(defaults, spec.name)) for spec in SPECS if spec.table == "delivery"}
    delivery = DeliverySettings(**values)
    own = [key for key in ("first_delay_s", "max_delay_s") if key in reader.table]
    if own and delivery.first_delay_s > delivery.max_delay_s:
        reader.complain("'first_delay_s' is larger than 'max_delay_s'", own[0], "the first delay is the shortest")
    return delivery


def _options(reader: TableReader, definition: Definition | None, around: Surroundings) -> dict[str, Any]:
    reader.known.add("settings")  # read value by value: one reference that was not found leaves the others to be judged
    table = reader.table.get("settings", {})
    if not isinstance(table, dict):
        reader.complain("'settings' must be a table", "settings", 'write settings = { url = "..." }')
    if definition is None or not isinstance(table, dict):
        return {}
    inner = TableReader(around.tree, reader.at("settings"), reader.label, around.problems, table)
    return read_options(inner, definition, around.warnings)


def _consent_categories(reader: TableReader) -> tuple[str, ...]:
    categories: tuple[str, ...] = reader.take("consent_categories", "list", ())
    if "" in categories:
        reader.complain("'consent_categories' holds an empty id, which nobody can consent to", "consent_categories", "write the category's id")
    return categories


def _source_ids(reader: TableReader, around: Surroundings) -> tuple[str, ...]:
    every = tuple(source.source_id for source in around.sources)
    chosen = reader.take("sources", "list")
    if chosen is None:
        return every
    known = [*every, BUILT_IN_SOURCE]
    for index, slug in enumerate(chosen):
        if slug not in known:
            place = around.tree.place(child(reader.at("sources"), index))
            around.problems.append(Problem(f"{reader.label}: unknown source '{slug}'", place, nearest(slug, known)))
    return tuple(dict.fromkeys(slug for slug in chosen if slug in known))


def _endpoint(reader: TableReader) -> str:
    endpoint: str = reader.take("endpoint", "string", "")
    problem = url_problem(endpoint) if endpoint else ""
    if problem or endpoint.rstrip("/").count("/") > 2:
        reader.complain(f"'endpoint' {problem or 'names a path'}", "endpoint", 'write scheme and host, for example "http://127.0.0.1:9000"')
        return ""
    return endpoint.rstrip("/")


def _allow_private(reader: TableReader) -> tuple[str, ...]:
    entries: tuple[str, ...] = reader.take("allow_private", "list", ())
    for index, entry in enumerate(entries):
        if message := allow_mistake(entry):
            place = reader.tree.place(child(reader.at("allow_private"), index))
            reader.problems.append(Problem(f"{reader.label}: allow_private '{entry}' {message}", place, FORM))
    return entries


def _subscriptions(reader: TableReader, definition: Definition | None, around: Surroundings) -> tuple[Subscription, ...]:
    reader.known.add("mapping")
    tables = reader.table.get("mapping", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        reader.complain("'mapping' must be a list of tables", "mapping", "write [[destination.mapping]]")
        return ()
    if definition is None:
        return ()
    if "mapping" not in reader.table:
        return _presets(definition)
    found: dict[str, Subscription] = {}
    for index, table in enumerate(tables):
        inner = TableReader(around.tree, child(reader.at("mapping"), index), f"{reader.label}, mapping {index + 1}", around.problems, table)
        subscription = _subscription(inner, definition, index + 1, around.warnings)
        if subscription.subscription_id in found:
            inner.complain(f"another mapping has the id '{subscription.subscription_id}' already", "name", "give each mapping a name of its own")
        found[subscription.subscription_id] = subscription
    return tuple(found.values())


def _presets(definition: Definition) -> tuple[Subscription, ...]:
    found: dict[str, Subscription] = {}
    for position, preset in enumerate((preset for preset in definition.presets if preset.automatic), 1):
        ident = _id(preset.name, preset.action, position)
        ident = f"{ident}-{position}" if ident in found else ident
        found[ident] = Subscription(ident, preset.name, preset.action, preset.trigger, preset.mapping)
    return tuple(found.values())


def _subscription(reader: TableReader, definition: Definition, position: int, warnings: list[Problem]) -> Subscription:
    action = _action(reader, definition)
    name: str = reader.take("name", "string", "")
    trigger: str = reader.take("trigger", "string", action.default_trigger if action else "")
    fields = reader.take("fields", "object", {})
    enabled: bool = reader.take("enabled", "boolean", True)
    reader.finish()
    if action is None:
        return Subscription(_id(name, "mapping", position), name, "", trigger, fields, enabled)
    if not trigger.strip() and not reader.is_open(reader.at("trigger")):
        reader.complain("a mapping needs a trigger", "trigger" if "trigger" in reader.table else "", "add trigger = 'type = \"track\"'")
    _check_fields(reader, action, fields, warnings)
    return Subscription(_id(name, action.slug, position), name or action.title, action.slug, trigger, fields, enabled)


def _action(reader: TableReader, definition: Definition) -> Action | None:
    actions = definition.actions
    only = next(iter(actions)) if len(actions) == 1 else ""
    slug: str = reader.take("action", "string", only)
    if slug in actions:
        return actions[slug]
    if slug:
        reader.complain(f"unknown action '{slug}'", "action", nearest(slug, actions) or "one of " + ", ".join(actions))
    elif "action" not in reader.table:
        reader.complain("a mapping needs an action", remedy="one of " + ", ".join(actions))
    return None


SEGMENTS_OWN: Final = "__segment_internal_"
"""Keys that Segment's own mappings hold beside the fields: taken, so that they load unchanged."""


def _check_fields(reader: TableReader, action: Action, fields: Mapping[str, Any], warnings: list[Problem]) -> None:
    known = {field.name for field in action.fields} | set(BATCH_FIELDS if action.perform_batch else ())
    for key in fields:
        if key not in known and not key.startswith(SEGMENTS_OWN):
            place = reader.tree.place(child(reader.at("fields"), key))
            reader.problems.append(Problem(f"{reader.label}: action '{action.slug}' has no field '{key}'", place, nearest(key, known)))
    for field in action.fields:
        if field.required is True and field.default is None and field.name not in fields:
            message = f"{reader.label}: the required field '{field.name}' is left out and has no default, so no event will fit"
            warnings.append(Problem(message, reader.tree.place(reader.at()), "add it to fields"))


def _id(name: str, action: str, position: int) -> str:
    return _NOT_WORD.sub("-", name.lower()).strip("-") or f"{_NOT_WORD.sub('-', action.lower()).strip('-')}-{position}"
