"""From the tree and the catalog to a Workspace: sources, destinations, presets; all mistakes at once, warnings handed back.

`load` is what start, reload and `relay check` call: one run over file, settings and workspace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relay.config.reading import TableReader
from relay.config.settings import SPECS, Settings, check_settings, unknown_tables
from relay.config.tree import Tree, child, label, survey
from relay.errors import ConfigError, Problem
from relay.kit.definition import Catalog
from relay.workspace.alert_rules import read_alert_rules
from relay.workspace.candidate import overlaid
from relay.workspace.destinations import SLUG_FORM, Surroundings, read_destination, read_slug
from relay.workspace.digest import digest, document, setting_digest
from relay.workspace.model import BUILT_IN_SOURCE, Destination, Source, Workspace
from relay.workspace.options import literal_secret
from relay.workspace.plans import read_plans, slugs_in
from relay.workspace.privacy import read_matchers, read_privacy
from relay.workspace.rules import Matcher
from relay.workspace.source_schema import Known, check_forwarding, read_schema
from relay.workspace.stored import NOTHING, Stored, lay_over, merged, obey
from relay.workspace.transformations import read_transformations

__all__ = ["Loaded", "assemble", "digest", "document", "load", "setting_digest"]

MAX_KEY = 200
_LATER = ("type", "settings")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that one reading of the configuration gives."""

    tree: Tree
    settings: Settings
    workspace: Workspace
    warnings: tuple[Problem, ...]


def load(
    path: Path | None,
    catalog: Catalog,
    *,
    environment: Mapping[str, str],
    overrides: Sequence[str] = (),
    default_write_key: str = "",
    changes: Mapping[str, Any] | None = None,
    stored: Stored = NOTHING,
) -> Loaded:
    """Read, check and assemble. Raises ConfigError with the mistakes of all three, in the order of the files.

    `changes`: a change that is not saved yet, laid over what was read; `stored`: what the UI owns.
    """
    tree, problems = survey(path, environment=environment, overrides=overrides)
    if changes is not None:
        tree = overlaid(tree, changes, problems)
    settings, mistakes = check_settings(tree)
    workspace, more, warnings = _assemble(tree, settings, catalog, default_write_key, stored)
    problems = list(dict.fromkeys([*problems, *mistakes, *more]))
    if problems:
        raise ConfigError(_sorted(tree, problems))
    return Loaded(tree, settings, workspace, tuple(_sorted(tree, warnings)))


def assemble(
    tree: Tree, settings: Settings, catalog: Catalog, *, default_write_key: str = "", stored: Stored = NOTHING
) -> tuple[Workspace, list[Problem]]:
    """The workspace (version 0: not stored yet) and warnings. Raises ConfigError with every mistake."""
    workspace, problems, warnings = _assemble(tree, settings, catalog, default_write_key, stored)
    if problems:
        raise ConfigError(_sorted(tree, problems))
    return workspace, _sorted(tree, warnings)


def _assemble(
    tree: Tree, settings: Settings, catalog: Catalog, default_write_key: str, stored: Stored
) -> tuple[Workspace, list[Problem], list[Problem]]:
    problems, warnings = unknown_tables(tree), list(tree.warnings)
    plans, matchers = read_plans(tree, problems, warnings), read_matchers(tree, problems)
    tables = _tables(tree, "source", problems)
    known = Known([plan.slug for plan in plans], slugs_in(tree, "source"), slugs_in(tree, "destination") or ["archive"], warnings)
    sources = [_read_source(tree, index, table, problems, known, matchers) for index, table in tables]
    if "source" not in tree.data and default_write_key:
        sources = [Source("default", "default", "Default", (default_write_key,))]
    _check_unique(tree, sources, "source", problems)
    _check_write_keys(sources, problems)
    check_forwarding(tree, sources, problems)
    around = Surroundings(tree, catalog, settings.delivery, [source for source in sources if source.slug], matchers, problems, warnings)
    destinations = [
        read_destination(around, f"destination[{index}]", label(tree.data, ("destination", index)), table)
        for index, table in _tables(tree, "destination", problems)
    ]
    if "destination" not in tree.data and "archive" in catalog:
        table = {"slug": "archive", "type": "archive", "name": "Archive"}
        destinations = [read_destination(around, "destination", 'destination "archive"', table)]
    _check_unique(tree, destinations, "destination", problems)
    rules = read_alert_rules(tree, sources, destinations, problems)
    _warn(tree, settings, sources, destinations, warnings)
    slugs = [one.slug for one in destinations]
    laid = [lay_over(one, f"source[{index}]", stored, slugs, tree, warnings) for index, one in enumerate(sources)]
    colors = {one.source_id: stored.colors[one.slug] for one in sources if one.slug in stored.colors}
    if colors:
        destinations = [replace(one, privacy=obey(one.privacy, merged(colors, one.source_ids))) for one in destinations]
    return Workspace(0, tuple(laid), tuple(destinations), rules, plans, matchers, colors), problems, warnings


def _tables(tree: Tree, name: str, problems: list[Problem]) -> list[tuple[int, Mapping[str, Any]]]:
    tables = tree.data.get(name, [])
    if not isinstance(tables, list):
        problems.append(Problem(f"'{name}' must be a list of tables", tree.place(name), f"write [[{name}]]"))
        return []
    for index, table in enumerate(tables):
        if not isinstance(table, dict):
            problems.append(Problem(f"{name} {index + 1}: must be a table", tree.place(child(name, index)), f"write [[{name}]]"))
    return [(index, table) for index, table in enumerate(tables) if isinstance(table, dict)]


def _read_source(
    tree: Tree,
    index: int,
    table: Mapping[str, Any],
    problems: list[Problem],
    known: Known,
    matchers: Sequence[Matcher],
) -> Source:
    reader = TableReader(tree, f"source[{index}]", label(tree.data, ("source", index)), problems, table)
    slug = read_slug(reader, "source")
    if slug == BUILT_IN_SOURCE:
        reader.complain(f"the slug '{slug}' is reserved for relay's own events", "slug", "choose another slug")
    plan, schema = read_schema(reader, known)
    source = Source(
        source_id=slug,
        slug=slug,
        name=reader.take("name", "string", slug) or slug,
        write_keys=_write_keys(reader),
        enabled=reader.take("enabled", "boolean", True),
        plan=plan,
        schema=schema,
        transformations=read_transformations(reader, "source"),
        privacy=read_privacy(reader, matchers),
        place=tree.places.get(reader.path),
    )
    if "filter" in reader.table:
        reader.known.add("filter")
        reader.complain("filters belong to destinations", "filter", "write [[destination.filter]], or change events with [[source.transformation]]")
    reader.finish(_LATER)
    return source


def _write_keys(reader: TableReader) -> tuple[str, ...]:
    one: str | None = reader.take("write_key", "string")
    many: tuple[str, ...] | None = reader.take("write_keys", "list")
    if "write_key" in reader.table and "write_keys" in reader.table:
        reader.complain("'write_key' and 'write_keys' are both set", "write_key", "move the key into write_keys")
    elif "write_key" not in reader.table and not reader.table.get("write_keys", False):
        reader.complain("a source needs a write key", "write_keys" if "write_keys" in reader.table else "", 'add write_key = "..."')
    keys = many if many is not None else (one,) if one is not None else ()
    for key in keys:
        if not 1 <= len(key) <= MAX_KEY or not all(" " < character <= "~" and character != ":" for character in key):
            name = "write_keys" if many is not None else "write_key"
            reader.complain(f"'{name}' must be 1 to {MAX_KEY} printable ASCII characters without spaces and colons", name)
    return keys


def _check_unique(tree: Tree, items: Sequence[Source | Destination], noun: str, problems: list[Problem]) -> None:
    first: dict[str, Source | Destination] = {}
    for index, item in enumerate(items):
        if not item.slug or item.slug not in first:
            first[item.slug] = item
            continue
        place = tree.place(f"{noun}[{index}].slug")
        problems.append(Problem(f"the {noun} slug '{item.slug}' is used twice", place, f"first used at {first[item.slug].place}; {SLUG_FORM}"))


def _check_write_keys(sources: Sequence[Source], problems: list[Problem]) -> None:
    owners: dict[str, Source] = {}
    for source in sources:
        for key in source.write_keys:
            owner = owners.setdefault(key, source)
            if owner is not source or source.write_keys.count(key) > 1:
                message = f'source "{source.slug}": a write key is used twice (source "{owner.slug}" has it)'
                problems.append(Problem(message, source.place, "each write key belongs to one source"))
                break


def _warn(tree: Tree, settings: Settings, sources: Sequence[Source], destinations: Sequence[Destination], warnings: list[Problem]) -> None:
    warnings.extend(
        literal_secret(tree, spec.path, f"{spec.table}: the secret '{spec.name}' is written out in the configuration")
        for spec in SPECS
        if spec.type == "secret" and getattr(getattr(settings, spec.table), spec.name) and not tree.is_reference(spec.path)
    )
    heard = {source_id for destination in destinations if destination.enabled for source_id in destination.source_ids}
    warnings.extend(
        Problem(f'source "{source.slug}": no destination listens to it', source.place, "name it in a destination's sources")
        for source in sources
        if source.enabled and source.source_id not in heard
    )
    warnings.extend(
        Problem(f'destination "{item.slug}": has no sources, so nothing reaches it', item.place, "add one, or leave sources out to take all")
        for item in destinations
        if item.enabled and not item.source_ids
    )


def _sorted(tree: Tree, problems: Sequence[Problem]) -> list[Problem]:
    """In the order of files and lines; what stands in no file comes last."""
    order = {str(path): position for position, path in enumerate(tree.files)}

    def key(problem: Problem) -> tuple[int, int]:
        place = problem.place
        return (order.get(place.file, len(order)), place.line) if place else (len(order) + 1, 0)

    return sorted(problems, key=key)
