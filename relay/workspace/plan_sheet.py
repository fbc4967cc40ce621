"""A plan as a table (CSV), one row a property, for those who plan in a spreadsheet. Pure.

What a table can say comes back as it was: types, formats, required, enum, pattern, description, and the planning questions of a rule. What
it cannot say is named by `losses`, so that nobody loses it unseen.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from relay.errors import ConfigError, Place, Problem
from relay.workspace.plan_files import DRAFT, Content, Identity, canonical, fields_of, identity, label, path_keys, path_text, types_of
from relay.workspace.plan_rules import TYPES

COLUMNS: Final = (
    "type", "event", "version", "property", "property_type", "required", "enum", "pattern", "description", "why", "owner", "destinations",
)  # fmt: skip
JSON_TYPES: Final = ("string", "number", "integer", "boolean", "object", "array", "null")
FORMATS: Final = (
    "date-time", "date", "time", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference",
    "uri-template", "json-pointer", "relative-json-pointer", "regex", "uuid",
)  # fmt: skip
ANY: Final = "any"
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet would run: such a cell gets an apostrophe before it, and loses one when it is read."""
_YES: Final = frozenset(("yes", "y", "true", "1", "x", "required"))
_NO: Final = frozenset(("", "no", "n", "false", "0", "optional"))
_SAID: Final = frozenset(
    ("type", "format", "enum", "pattern", "description", "properties", "items", "required", "x-why", "x-owner", "x-destinations")
)

Keys = tuple[str, ...]
Row = dict[str, str]


def to_csv(content: Mapping[str, Any]) -> str:
    """The table of a plan."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for rule in canonical(content)["rules"]:
        schema = rule["jsonSchema"]
        kind, key, version = identity(rule)
        head = {"type": kind, "event": key, "version": f"{version:g}"}
        for row in (_row((), schema, required=False), *_rows(schema)):
            writer.writerow([_cell((head | row)[column]) for column in COLUMNS])
    return out.getvalue()


def losses(content: Mapping[str, Any]) -> list[str]:
    """What the table of a plan leaves out, as `TRACK "Signed Up", properties.plan: minLength`."""
    found = [f"the plan: {key}" for key in content if key != "rules"]
    for rule in canonical(content)["rules"]:
        name = label(identity(rule))
        found += [f"{name}: {key}" for key in rule if key not in ("type", "key", "version", "jsonSchema")]
        found += [f"{name}{f', {path_text(path)}' if path else ''}: {what}" for path, what in _lost(rule["jsonSchema"], ())]
    return found


def from_csv(text: str, file: str) -> Content:
    """The plan of a table. Raises ConfigError with every mistake, each with its row (as a line of the file) and column."""
    reader = csv.reader(io.StringIO(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), newline=""), strict=True)
    sheet = _Sheet(file)
    try:
        head = [cell.strip().lower() for cell in next(reader, [])]
        sheet.check_head(head)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                sheet.read(head, cells, line)
            line = reader.line_num + 1
    except csv.Error as error:
        sheet.complain(reader.line_num, "", f"{error}", "save the table as CSV: commas between cells, quotes around cells that hold one")
    if sheet.problems:
        raise ConfigError(sheet.problems)
    return canonical({"rules": sheet.rules()})


def _rows(schema: Mapping[str, Any]) -> Iterator[Row]:
    """Of all fields, parents first; a parent that only its children tell of has none."""
    for below, inner, required in fields_of(schema):
        if not _is_implied(inner) or required:
            yield _row(below, inner, required=required)


def _is_implied(schema: Mapping[str, Any]) -> bool:
    """Whether the rows of its children say all of it."""
    return (bool(schema.get("properties")) and set(schema) <= {"type", "properties", "required"} and schema.get("type") == "object") or (
        bool(schema.get("items")) and set(schema) <= {"type", "items"} and schema.get("type") == "array"
    )


def _row(path: Keys, schema: Mapping[str, Any], *, required: bool) -> Row:
    types = [schema["format"] if one == "string" and schema.get("format") in FORMATS else one for one in types_of(schema)]
    return {
        "property": path_text(path),
        "property_type": " | ".join(types) or ANY,
        "required": "yes" if required else "",
        "enum": _enum_text(schema["enum"]) if "enum" in schema else "",
        "pattern": schema.get("pattern", ""),
        "description": schema.get("description", ""),
        "why": schema.get("x-why", ""),
        "owner": _joined(schema.get("x-owner", "")),
        "destinations": _joined(schema.get("x-destinations", ())),
    }


def _joined(words: Sequence[str]) -> str:
    return words if isinstance(words, str) else " | ".join(words)


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split("|") if word.strip()]


def _cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _text_of(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _enum_text(values: Sequence[Any]) -> str:
    plain = all(isinstance(one, str) and one and one == one.strip() and "|" not in one for one in values)
    return " | ".join(values) if values and plain and not values[0].startswith("[") else json.dumps(list(values), ensure_ascii=False)


def _lost(schema: Any, path: Keys) -> Iterator[tuple[Keys, str]]:
    if not isinstance(schema, Mapping):
        yield path, "a schema that is true or false"
        return
    implied = ("$schema",) if not path and schema.get("$schema") == DRAFT else ()
    yield from ((path, key) for key in schema if key not in _SAID and key not in implied)
    if "format" in schema and (schema["format"] not in FORMATS or "string" not in types_of(schema)):
        yield path, "format"
    properties, items = schema.get("properties") or {}, schema.get("items")
    yield from ((path, f"required {name}") for name in schema.get("required", ()) if name not in properties)
    for name, inner in properties.items():
        if name == "$":
            yield path, "a property that is named $"
        yield from _lost(inner, (*path, name))
    if isinstance(items, Mapping):
        yield from _lost(items, (*path, "$"))
    elif items is not None:
        yield path, "items"


class _Sheet:
    """Reads rows, collects rules and mistakes."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._schemas: dict[Identity, Content] = {}
        self._lines: dict[tuple[Identity, Keys], int] = {}
        self._typed: set[tuple[Identity, Keys]] = set()

    def complain(self, line: int, column: str, message: str, remedy: str = "") -> None:
        where = f"row {line}, column {column}: " if column else f"row {line}: "
        self.problems.append(Problem(where + message, Place(self._file, line, COLUMNS.index(column) + 1 if column in COLUMNS else 0), remedy))

    def check_head(self, head: Sequence[str]) -> None:
        missing = [name for name in ("type", "property") if name not in head]
        unknown = [name for name in head if name not in COLUMNS]
        if missing:
            self.complain(1, "", f"there is no column {', '.join(missing)}", f"the first row names the columns: {','.join(COLUMNS)}")
        for name in unknown:
            self.complain(1, "", f"unknown column '{name}'", f"known are {', '.join(COLUMNS)}")
        if len(set(head)) < len(head):
            self.complain(1, "", "a column is named twice")

    def read(self, head: Sequence[str], cells: Sequence[str], line: int) -> None:
        """One row."""
        if len(cells) > len(head) and any(cell.strip() for cell in cells[len(head) :]):
            self.complain(line, "", f"{len(cells)} cells, but the first row names {len(head)} columns", "quote cells that hold a comma")
            return
        given = {name: _text_of(cell) for name, cell in zip(head, cells, strict=False)}
        row = {name: given.get(name, "") if name in ("description", "pattern") else given.get(name, "").strip() for name in COLUMNS}
        before = len(self.problems)
        rule, path = self._rule(row, line), self._path(row, line)
        schema = self._field(row, line)
        if rule is None or path is None or schema is None or len(self.problems) > before:
            return
        if (rule, path) in self._lines:
            named = f"the property '{row['property']}'" if path else "the rule"
            self.complain(line, "property", f"{named} is described twice", f"first in row {self._lines[rule, path]}")
            return
        self._lines[rule, path] = line
        root = self._schemas.setdefault(rule, {})
        if row["property_type"]:
            self._typed.add((rule, path))
        _put(root, path, schema, required=row["required"].lower() in _YES)

    def rules(self) -> list[Content]:
        made = []
        for rule, schema in self._schemas.items():
            kind, key, version = rule
            self._complete(rule, schema, ())
            made.append({"type": kind, **({"key": key} if key else {}), "version": version, "jsonSchema": {"$schema": DRAFT, **schema}})
        return made

    def _rule(self, row: Row, line: int) -> Identity | None:
        kind = row["type"].upper()
        if kind not in TYPES:
            self.complain(line, "type", f"'{row['type']}' is no type of rule", f"it is one of {', '.join(TYPES)}")
            return None
        if (kind == "TRACK") != bool(row["event"]):
            message = "a TRACK rule needs the name of its event" if kind == "TRACK" else f"a {kind} rule has no event"
            self.complain(line, "event", message)
            return None
        try:
            version = float(row["version"] or 1)
            if not 1 <= version < 1e9:
                raise ValueError(row["version"])
        except ValueError:
            self.complain(line, "version", f"'{row['version']}' is no version", "versions are numbers from 1 on")
            return None
        return kind, row["event"], version

    def _path(self, row: Row, line: int) -> Keys | None:
        try:
            return path_keys(row["property"]) if row["property"] else ()
        except ValueError as error:
            self.complain(line, "property", f"'{row['property']}' is no path: {error}", "write it as properties.products.$.sku")
            return None

    def _field(self, row: Row, line: int) -> Content | None:
        """What a row says about its property, without its place."""
        schema: Content = {}
        words = _listed(row["property_type"])
        formats = [word for word in words if word not in JSON_TYPES and word != ANY]
        if unknown := [word for word in formats if word not in FORMATS]:
            self.complain(
                line, "property_type", f"'{unknown[0]}' is no type", f"types are {', '.join((ANY, *JSON_TYPES))}, or a format such as date-time"
            )
        if len(formats) > 1:
            self.complain(line, "property_type", f"two formats: {' and '.join(formats)}", "a string has one format")
        types = [word if word in JSON_TYPES else "string" for word in words if word != ANY]
        if types:
            schema["type"] = types[0] if len(types) == 1 else types
        if formats:
            schema["format"] = formats[0]
        if row["required"].lower() not in _YES | _NO:
            self.complain(line, "required", f"'{row['required']}' is neither yes nor no", "write yes, or leave it empty")
        if row["enum"]:
            self._enum(row["enum"], line, schema)
        schema |= {key: row[key] for key in ("pattern", "description") if row[key]}
        owners = _listed(row["owner"])
        said = {"x-why": row["why"], "x-owner": owners if len(owners) > 1 else row["owner"], "x-destinations": _listed(row["destinations"])}
        return schema | {key: value for key, value in said.items() if value}

    def _enum(self, text: str, line: int, schema: Content) -> None:
        if not text.startswith("["):
            schema["enum"] = _listed(text)
            return
        try:
            values = json.loads(text)
        except ValueError as error:
            self.complain(line, "enum", f"the list cannot be read: {error}", 'write values as one | two, or as JSON: ["one", 2]')
            return
        schema["enum"] = values

    def _complete(self, rule: Identity, schema: Content, path: Keys) -> None:
        """A parent without a type of its own is an object, or an array when its items are described."""
        if (rule, path) not in self._typed and "type" not in schema:
            if "properties" in schema or not path:
                schema["type"] = "object"
            elif "items" in schema:
                schema["type"] = "array"
        for name, inner in schema.get("properties", {}).items():
            self._complete(rule, inner, (*path, name))
        if "items" in schema:
            self._complete(rule, schema["items"], (*path, "$"))


def _put(root: Content, path: Keys, schema: Content, *, required: bool) -> None:
    parent, node = root, root
    for name in path:
        parent, node = node, node.setdefault("items", {}) if name == "$" else node.setdefault("properties", {}).setdefault(name, {})
    node |= schema
    if required and path and path[-1] != "$":
        parent.setdefault("required", []).append(path[-1])
