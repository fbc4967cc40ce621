"""`[[destination.filter]]` and `[[source.transformation]]`, `[[destination.transformation]]`: from the tree to rules, every mistake with its place."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.config.reading import TableReader
from relay.config.tree import child
from relay.workspace.rules import Filter, FilterAction, Hashing, Transformation

ACTIONS: Final = ("SAMPLE", "DROP", "DROP_PROPERTIES", "ALLOW_PROPERTIES")
ALGORITHMS: Final = ("MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512")
ENCODINGS: Final = ("HEX", "BASE64")


def read_filters(reader: TableReader) -> tuple[Filter, ...]:
    """The `filter` tables of a destination."""
    return tuple(_filter(inner) for inner in tables_in(reader, "filter", "[[destination.filter]]"))


def read_transformations(reader: TableReader, noun: str) -> tuple[Transformation, ...]:
    """The `transformation` tables of a source or destination (`noun`)."""
    return tuple(_transformation(inner) for inner in tables_in(reader, "transformation", f"[[{noun}.transformation]]"))


def tables_in(reader: TableReader, key: str, header: str) -> Iterator[TableReader]:
    """A reader for each table of the list `key`."""
    reader.known.add(key)
    tables = reader.table.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        reader.complain(f"'{key}' must be a list of tables", key, f"write {header}")
        return
    for index, table in enumerate(tables):
        yield TableReader(reader.tree, child(reader.at(key), index), f"{reader.label}, {key} {index + 1}", reader.problems, table)


def _filter(reader: TableReader) -> Filter:
    found = Filter(
        condition=reader.take("if", "string", ""),
        actions=tuple(_action(inner) for inner in tables_in(reader, "actions", "actions = [{ type = ... }]")),
        title=reader.take("title", "string", ""),
        enabled=reader.take("enabled", "boolean", True),
        place=reader.tree.places.get(reader.path),
    )
    reader.finish(noun="key")
    return found


def _action(reader: TableReader) -> FilterAction:
    fields: Mapping[str, Any] = reader.take("fields", "object", {})
    found = FilterAction(
        type=reader.take("type", "string", "", choices=ACTIONS),
        percent=reader.take("percent", "number", 1.0, minimum=0, maximum=1),
        path=reader.take("path", "string", ""),
        fields={path: tuple(keys) for path, keys in fields.items()},
    )
    reader.finish(noun="key")
    return found


def _transformation(reader: TableReader) -> Transformation:
    allow = reader.take("allowProperties", "list")
    hashing = reader.take("hashPropertiesConfiguration", "object")
    found = Transformation(
        condition=reader.take("if", "string", ""),
        name=reader.take("name", "string", ""),
        enabled=reader.take("enabled", "boolean", True),
        drop=reader.take("drop", "boolean", False),
        new_event_name=reader.take("newEventName", "string", ""),
        renames=tuple((one.take("oldName", "string", ""), one.take("newName", "string", "")) for one in tables_in(reader, "propertyRenames", "")),
        values=tuple(
            (path, one.table.get("propertyValue"))
            for one in tables_in(reader, "propertyValueTransformations", "")
            for path in one.take("propertyPaths", "list", ())
        ),
        formulas=tuple(
            (one.take("propertyName", "string", ""), one.take("fql", "string", "")) for one in tables_in(reader, "fqlDefinedProperties", "")
        ),
        allow=allow,
        hashing=_hashing(TableReader(reader.tree, reader.at("hashPropertiesConfiguration"), reader.label, reader.problems, hashing))
        if hashing is not None
        else None,
        place=reader.tree.places.get(reader.path),
    )
    reader.finish(noun="key")
    return found


def _hashing(reader: TableReader) -> Hashing:
    found = Hashing(
        algorithm=reader.take("algorithm", "string", "SHA256", choices=ALGORITHMS),
        paths=reader.take("paths", "list", ()),
        encoding=reader.take("encoding", "string", "HEX", choices=ENCODINGS),
        key=reader.take("key", "string", ""),
    )
    reader.finish(noun="key")
    return found
