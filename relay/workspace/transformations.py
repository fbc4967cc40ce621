"""`[[source.transformation]]` and `[[destination.transformation]]`: from the tree to rules, every mistake with its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from relay.base.secret import MASK, Secret
from relay.config.reading import TableReader
from relay.errors import ConfigError
from relay.kit.edits import split_path
from relay.kit.fql import compile_value, filter_types, spelled
from relay.workspace.filters import EXPORTED, read_condition, tables_in
from relay.workspace.rules import Hashing, Transformation

ALGORITHMS: Final = ("MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512")
ENCODINGS: Final = ("HEX", "BASE16", "BASE64", "BASE64URL")
HASHING: Final = "hashPropertiesConfiguration"
VALUES_MAX: Final = 10
PATHS_MAX: Final = 10
RENAME_LEVELS: Final = 4
"""Below properties or traits."""

HOMES: Final = ("properties", "traits")
"""Where a bare name lies."""
ROOTS: Final = (*HOMES, "context")
TOP_LEVEL: Final = ("event", "name", "category", "userId", "anonymousId", "groupId", "previousId", "timestamp", "channel")
"""Texts of the message itself that a value may be set for by their bare name."""
FIXED: Final = ("type", "messageId", "version", "receivedAt")
IDS: Final = ("userId", "anonymousId", "groupId", "previousId")

Keys = tuple[str, ...]


def home_of(kind: str) -> str:
    """Where the bare names of a rule lie in calls of this type."""
    return "traits" if kind in ("identify", "group") else "properties"


def keys_at(path: str, home: str, top_level: tuple[str, ...] = ()) -> Keys:
    """The keys of a path of a rule; a bare name lies in `home`, or in the message itself when it is one of `top_level`."""
    keys = split_path(path)
    return (home, *keys) if len(keys) == 1 and keys[0] not in top_level else keys


def read_transformations(reader: TableReader, noun: str) -> tuple[Transformation, ...]:
    """The `transformation` tables of a source or destination (`noun`)."""
    found: list[Transformation] = []
    first: dict[tuple[object, ...], int] = {}
    for position, inner in enumerate(tables_in(reader, "transformation", f"[[{noun}.transformation]]"), 1):
        if noun == "source" and inner.table.get("destinationMetadataId"):
            inner.complain("it belongs to one destination", "destinationMetadataId", "move it to a [[destination.transformation]]")
        one = read_transformation(inner)
        found.append(one)
        if one.enabled and one.condition and first.setdefault(spelled(one.condition), position) != position:
            remedy = "put both into one, or switch one of them off: enabled = false"
            inner.complain(f"transformation {first[spelled(one.condition)]} has the same if", "if", remedy)
    return tuple(found)


def with_kept_key(table: Any, keys: Sequence[str]) -> Any:
    """A changed transformation whose hash key is shown as dots, with the key that it had: its `id` is its number, from 0, among `keys`."""
    hashing = table.get(HASHING) if isinstance(table, dict) else None
    if not isinstance(hashing, dict) or hashing.get("key") != MASK:
        return table
    number = str(table.get("id", ""))
    if not (number.isascii() and number.isdigit() and int(number[:6]) < len(keys)):
        return table
    return table | {HASHING: hashing | {"key": keys[int(number[:6])]}}


def read_transformation(reader: TableReader) -> Transformation:
    """One transformation."""
    reader.known.update(EXPORTED)
    condition, paths = read_condition(reader, "transformation"), _Paths()
    found = Transformation(
        condition=condition,
        name=reader.take("name", "string", ""),
        enabled=reader.take("enabled", "boolean", True),
        drop=reader.take("drop", "boolean", False),
        new_event_name=_event_name(reader, condition, paths),
        renames=tuple(
            _rename(inner, paths) for inner in tables_in(reader, "propertyRenames", "propertyRenames = [{ oldName = ..., newName = ... }]")
        ),
        values=tuple(_values(reader, paths)),
        formulas=tuple(_formulas(reader, paths)),
        allow=_allow(reader),
        hashing=_hashing(reader, paths),
        place=reader.tree.places.get(reader.path),
    )
    paths.check()
    _check_content(reader, found)
    reader.finish(noun="key")
    return found


def _check_content(reader: TableReader, found: Transformation) -> None:
    works = bool(found.new_event_name or found.renames or found.values or found.formulas or found.allow is not None or found.hashing)
    if found.drop and works:
        reader.complain("it drops the event, so its other changes are never made", "drop", "remove them, or drop")
    elif not found.drop and not works and not {"newEventName", *_LISTS} & reader.table.keys():
        reader.complain("a transformation needs something to do", remedy=f"add drop, newEventName or one of {', '.join(_LISTS)}")
    if found.renames and found.formulas:
        reader.complain("renames and fqlDefinedProperties do not go together", "fqlDefinedProperties", "make two transformations of it")


_LISTS: Final = ("propertyRenames", "propertyValueTransformations", "fqlDefinedProperties", "allowProperties", "hashPropertiesConfiguration")


def _event_name(reader: TableReader, condition: str, paths: "_Paths") -> str:
    name: str = reader.take("newEventName", "string", "")
    if name and condition and "track" not in filter_types(condition):
        reader.complain(
            "only a track has an event name, and the condition holds for none", "newEventName", 'add type = "track" to the if, or remove it'
        )
    if name:
        paths.add(reader, "newEventName", "event", "set", TOP_LEVEL)
    return name


def _rename(reader: TableReader, paths: "_Paths") -> tuple[str, str]:
    names: list[str] = []
    for key, role in (("oldName", "renamed"), ("newName", "set")):
        path = _path(reader, key, HOMES)
        if len(keys_at(path, HOMES[0])) > RENAME_LEVELS + 1:
            reader.complain(f"'{path}' is too deep", key, f"rename at most {RENAME_LEVELS} levels below properties or traits")
        if path and _check_no_id(reader, key, path):
            paths.add(reader, key, path, role)
        names.append(path)
    if names[0] and names[0] == names[1]:
        reader.complain("old and new name are the same", "newName", "choose another new name")
    reader.finish(noun="key")
    return names[0], names[1]


def _values(reader: TableReader, paths: "_Paths") -> Iterator[tuple[str, Any]]:
    for position, inner in enumerate(tables_in(reader, "propertyValueTransformations", "[{ propertyPaths = [...], propertyValue = ... }]"), 1):
        if position == VALUES_MAX + 1:
            inner.complain(f"a transformation sets at most {VALUES_MAX} values", remedy="list several paths of one value together")
        inner.known.add("propertyValue")
        listed: tuple[str, ...] = inner.take("propertyPaths", "list", ())
        if not inner.table.get("propertyPaths"):
            inner.complain("it needs propertyPaths", remedy='add propertyPaths = ["properties.plan"]')
        if len(listed) > PATHS_MAX:
            inner.complain(f"'propertyPaths' must be at most {PATHS_MAX} paths", "propertyPaths", "repeat the value with the rest")
        if "propertyValue" not in inner.table:
            inner.complain("it needs a propertyValue", remedy='add propertyValue = "team"')
        value = inner.table.get("propertyValue")
        for path in listed:
            if path in TOP_LEVEL and not isinstance(value, str):
                inner.complain(f"'{path}' is a text", "propertyValue", "write a string")
            if path in FIXED:
                inner.complain(f"'{path}' cannot be set: relay tells events apart by it", "propertyPaths", f"properties.{path} names the property")
            elif _check_path(inner, "propertyPaths", path, (*ROOTS, "integrations")):
                paths.add(inner, "propertyPaths", path, "set", TOP_LEVEL)
            yield path, value
        inner.finish(noun="key")


def _formulas(reader: TableReader, paths: "_Paths") -> Iterator[tuple[str, str]]:
    for position, inner in enumerate(tables_in(reader, "fqlDefinedProperties", "[{ fql = ..., propertyName = ... }]"), 1):
        if position == 2:
            inner.complain("a transformation has at most one FQL-defined property", remedy="make two transformations of it")
        path = _path(inner, "propertyName", ROOTS)
        fql: str = inner.take("fql", "string", "")
        if not fql.strip():
            inner.complain("it needs fql", "fql" if "fql" in inner.table else "", 'add fql = "lowercase(properties.code)"')
        else:
            try:
                compile_value(fql)
            except ConfigError as error:
                for problem in error.problems:
                    inner.complain(problem.message, "fql", problem.remedy)
        if path:
            paths.add(inner, "propertyName", path, "set")
        inner.finish(noun="key")
        yield path, fql


def _allow(reader: TableReader) -> tuple[str, ...] | None:
    allow: tuple[str, ...] | None = reader.take("allowProperties", "list")
    for path in allow or ():
        _check_path(reader, "allowProperties", path, HOMES)
    return allow


def _hashing(reader: TableReader, paths: "_Paths") -> Hashing | None:
    table: Mapping[str, Any] | None = reader.take("hashPropertiesConfiguration", "object")
    if table is None:
        return None
    at, label = reader.at("hashPropertiesConfiguration"), f"{reader.label}, hashPropertiesConfiguration"
    inner = TableReader(reader.tree, at, label, reader.problems, table)
    found = Hashing(
        algorithm=inner.take("algorithm", "string", "SHA256", choices=ALGORITHMS),
        paths=inner.take("paths", "list", ()),
        encoding=inner.take("encoding", "string", "HEX", choices=ENCODINGS),
        key=inner.take("key", "secret", Secret("")),
    )
    if not found.paths:
        inner.complain("it needs paths", "paths" if "paths" in table else "", 'add paths = ["traits.email"]')
    if "key" in table and not found.key and not inner.is_open(inner.at("key")):
        inner.complain("'key' is empty", "key", "leave it out for a plain hash")
    for path in found.paths:
        if _check_no_id(inner, "paths", path) and _check_path(inner, "paths", path, ROOTS):
            paths.add(inner, "paths", path, "set")
    inner.finish(noun="key")
    return found


# --- paths -------------------------------------------------------------------------------------------------------------------


def _path(reader: TableReader, key: str, roots: tuple[str, ...]) -> str:
    """The path of `key`; empty after a complaint."""
    path: str = reader.take(key, "string", "")
    if not path and not (key in reader.table and not isinstance(reader.table[key], str)):
        reader.complain(f"it needs {key}", key if key in reader.table else "", f'add {key} = "properties.plan"')
    return path if path and _check_path(reader, key, path, roots) else ""


def _check_no_id(reader: TableReader, key: str, path: str) -> bool:
    if path in IDS:
        reader.complain(f"'{path}' is an id of the message, which stays", key, f"properties.{path} or traits.{path} names the property")
    return path not in IDS


def _check_path(reader: TableReader, key: str, path: str, roots: tuple[str, ...]) -> bool:
    keys = split_path(path)
    if not all(keys):
        reader.complain(f"'{path}' is no path", key, r"join names with single dots; \. is a dot within a name")
    elif "$" in keys:
        reader.complain(f"'{path}' reaches into a list by '$'", key, "leave '$' out, or name the whole list")
    elif len(keys) == 1 and keys[0] in (*ROOTS, "integrations"):
        reader.complain(f"'{path}' names nothing within {path}", key, f'write the field too, as in "{path}.plan"')
    elif len(keys) > 1 and keys[0] not in roots:
        inside = "this works inside properties and traits only" if keys[0] in (*ROOTS, "integrations") else f"did you mean 'properties.{path}'?"
        reader.complain(f"'{path}' must begin with {', '.join(roots[:-1])} or {roots[-1]}", key, inside)
    else:
        return True
    return False


@dataclass(slots=True)
class _Paths:
    """The paths that one transformation changes, to find those that are changed twice."""

    found: list[tuple[TableReader, str, str, str, tuple[str, ...]]] = field(default_factory=list)
    """Reader and key of the place, path, `set` or `renamed`, and the bare names that lie in the message itself."""

    def add(self, reader: TableReader, key: str, path: str, role: str, top_level: tuple[str, ...] = ()) -> None:
        self.found.append((reader, key, path, role, top_level))

    def check(self) -> None:
        """Complain about each path that is set twice, or set and renamed, or lies in one that is. Renames may take each other's places."""
        for index, (reader, key, path, role, top_level) in enumerate(self.found):
            for _, other_key, other, other_role, other_top_level in self.found[:index]:
                if {key, other_key} == {"oldName", "newName"}:
                    continue
                if any(
                    _overlap(keys_at(path, home, top_level), keys_at(other, home, other_top_level), exactly=role == other_role == "renamed")
                    for home in HOMES
                ):
                    how = "renamed twice" if role == other_role == "renamed" else "set twice" if role == other_role else "set and renamed"
                    within = "" if path == other else f" (as '{other}')"
                    reader.complain(f"'{path}' is {how}{within}", key, "change each path once, or make two transformations of it")
                    break


def _overlap(one: Keys, other: Keys, *, exactly: bool) -> bool:
    """Whether they are the same path, or one lies within the other."""
    shorter = min(len(one), len(other))
    return one == other if exactly else one[:shorter] == other[:shorter]
