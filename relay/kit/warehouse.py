"""Events as rows of warehouse tables, in Segment's layout. Pure: the same event gives the same rows, but for the time of the load.

A column's kind comes from its first value. A value that does not fit widens it: integers to floats, anything else to text.
"""

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from relay.base import jsonio
from relay.base.event import Event
from relay.kit.moment import iso_utc, unix_ms

TEXT_CHARS: Final = 512
"""Segment's varchar; longer text is cut."""
NAME_BYTES: Final = 63
"""Longest name of a table or column in PostgreSQL."""
DEPTH: Final = 10
"""Objects that lie deeper become JSON text."""
EVENT_TABLES: Final = 2_000
"""Most tables of one schema: senders choose event names. An event beyond them is in `tracks` only."""

_TABLES: Final = {"track": "tracks", "identify": "identifies", "page": "pages", "screen": "screens", "group": "groups", "alias": "aliases"}
_TAKEN: Final = frozenset((*_TABLES.values(), "users", "accounts"))
_TIMES: Final = {"sent_at": "sentAt", "timestamp": "timestamp", "original_timestamp": "originalTimestamp"}
_IDS: Final = frozenset(("id", "anonymous_id", "user_id", "previous_id", "group_id"))
_RESERVED: Final = frozenset(("id", "anonymous_id", "user_id", "event", "event_text", "received_at", "uuid_ts", *_TIMES))
_SYSTEM: Final = frozenset(("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"))
"""Columns that every table of PostgreSQL has."""
_INDEX = re.compile(r"_(?:pkey|idx)[0-9]*$")
"""How PostgreSQL ends the names of indexes, which share one space with those of tables."""
_WORD = re.compile(r"[A-Z0-9]+[^\W_A-Z]*|[^\W_A-Z]+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)")
_INT64: Final = range(-(2**63), 2**63)


class Kind(StrEnum):
    """What a column holds."""

    TIMESTAMP = "timestamp"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TEXT = "text"


Columns = dict[str, Kind]


@dataclass(frozen=True, slots=True)
class Row:
    """One row; its key is the column `id`."""

    table: str
    values: Mapping[str, Any]
    """By column: text, whole and real numbers, booleans; moments as ISO text. Never None."""
    is_latest: bool = False
    """The newest values of a user or account take the place of older ones; other rows are written once."""


@dataclass(slots=True)
class Change:
    """What a table lacks."""

    table: str
    is_new: bool
    added: Columns = field(default_factory=dict)
    widened: dict[str, tuple[Kind, Kind]] = field(default_factory=dict)
    """From which kind to which."""


@dataclass(slots=True)
class Schema:
    """What is known of the tables of one schema."""

    tables: dict[str, Columns] = field(default_factory=dict)
    fixed: set[tuple[str, str]] = field(default_factory=set)
    """Table and column that cannot be widened: what does not fit there is left out."""
    full: set[str] = field(default_factory=set)
    """Tables without room for another column."""


@lru_cache(maxsize=8_192)
def snake_case(text: str) -> str:
    """`Order Completed` as `order_completed`, `CStringRef` as `cstring_ref`; empty when there is no letter or digit in it.

    At most 63 bytes; what is cut is told apart by a hash. A leading digit gets an underscore before it.
    """
    name = "_".join(_WORD.findall(text)).lower()
    if name[:1].isdigit():
        name = f"_{name}"
    return _short(name)


def _short(name: str) -> str:
    raw = name.encode()
    if len(raw) <= NAME_BYTES:
        return name
    return f"{raw[: NAME_BYTES - 9].decode('utf-8', 'ignore')}_{hashlib.sha256(raw).hexdigest()[:8]}"


def rows_of(event: Event, loaded_s: float) -> list[Row]:
    """The rows of an event; none for a tombstone. `loaded_s`: Unix time of the load, for `uuid_ts`."""
    main = _TABLES.get(event.type)
    if main is None:
        return []
    payload, kind = event.payload, event.type
    arrival = {"received_at": iso_utc(event.received_ms), "uuid_ts": iso_utc(int(loaded_s * 1000))}
    context = dict(_flat("context", payload.get("context")))
    values: dict[str, Any] = {"id": _text(event.message_id)} | _present(anonymous_id=event.anonymous_id, user_id=event.user_id)
    values |= arrival | {name: iso_utc(ms) for name, key in _TIMES.items() if (ms := unix_ms(payload.get(key))) is not None}
    for name, value in context.items():
        values.setdefault(name, value)
    if kind == "track":
        values |= {"event": snake_case(event.name) or "_", "event_text": _text(event.name)}
        return [Row(main, values), Row(table_of(event.name), _with(values, payload.get("properties")))]
    if kind in ("page", "screen"):
        return [Row(main, _with(values | _present(name=event.name, category=payload.get("category")), payload.get("properties")))]
    if kind == "alias":
        return [Row(main, values | _present(previous_id=payload.get("previousId")))]
    traits = payload.get("traits")
    group_id = payload.get("groupId") if kind == "group" else None
    rows = [Row(main, _with(values | _present(group_id=group_id), traits))]
    latest, holder = (event.user_id, "users") if kind == "identify" else (group_id, "accounts")
    if latest:
        rows.append(Row(holder, _with({"id": _text(str(latest))} | arrival | context, traits), is_latest=True))
    return rows


def tables_of(event: Event) -> tuple[str, ...]:
    """The tables that `rows_of` makes rows for."""
    main = _TABLES.get(event.type)
    if main is None:
        return ()
    if event.type == "track":
        return main, table_of(event.name)
    if event.type == "identify":
        return (main, "users") if event.user_id else (main,)
    return (main, "accounts") if event.type == "group" and event.payload.get("groupId") else (main,)


def schema_of(source_slug: str) -> str:
    """The schema of a source; PostgreSQL keeps names that begin with pg_ for itself."""
    name = snake_case(source_slug) or "_"
    return _short(f"_{name}") if name.startswith("pg_") or name in ("public", "information_schema", "system", "default") else name


def table_of(event_name: str) -> str:
    """The table of an event; a name that a table of the layout has gets an underscore before it."""
    name = snake_case(event_name) or "_"
    if name in _TAKEN:
        return f"_{name}"
    return _short(f"{name}_") if _INDEX.search(name) else name


def condition_columns(table: str, columns: Collection[str]) -> tuple[str, ...]:
    """The columns that say whose a row of this table is; empty: it holds no rows of users."""
    if table == "users":
        return ("id",)
    return tuple(column for column in ("user_id", "previous_id") if column in columns)


def _present(**values: Any) -> dict[str, Any]:
    return {name: _text(str(value)) for name, value in values.items() if value not in (None, "")}


def _with(values: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """The columns with those of properties or traits; a reserved name, or one that is there already, is left out."""
    made = dict(values)
    for name, value in _flat("", given):
        if name not in _RESERVED:
            made.setdefault(name, value)
    return made


def _flat(prefix: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth < DEPTH:
        for key, item in value.items():
            if name := snake_case(key):
                name = _short(f"{prefix}_{name.lstrip('_')}") if prefix else name
                yield from _flat(f"_{name}" if name in _SYSTEM else name, item, depth + 1)
    elif value is not None and prefix:
        yield prefix, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list):
        return _text(jsonio.dumps(value).decode())
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and value not in _INT64:
        return float(value)
    return value


def _text(text: str) -> str:
    """Without the character that PostgreSQL cannot store."""
    return text.replace("\0", "") if "\0" in text else text


def kind_of(column: str, value: Any) -> Kind:
    """The kind of a column whose first value this is."""
    if column in _IDS or column in ("event", "event_text"):
        return Kind.TEXT
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int):
        return Kind.INTEGER
    if isinstance(value, float):
        return Kind.FLOAT
    return Kind.TIMESTAMP if _moment(value) else Kind.TEXT


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def fit(column: str, value: Any, kind: Kind) -> Any:
    """The value as a column of this kind holds it; None: it does not fit (text takes everything). Moments are aware datetimes."""
    if value is None:
        return None
    if kind is Kind.TEXT:
        text = value if isinstance(value, str) else jsonio.js_dumps(value).decode()
        return text if column in _IDS else text[:TEXT_CHARS]
    if kind is Kind.TIMESTAMP:
        return _moment(value)
    if kind is Kind.BOOLEAN:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if kind is Kind.FLOAT:
        return float(value)
    return int(value) if value == int(value) and int(value) in _INT64 else None


def plan(rows: Iterable[Row], schema: Schema, *, columns: int) -> list[Change]:
    """What the tables lack for these rows, by table; `columns`: most columns of a table. Marks tables as full, changes nothing else."""
    changes: dict[str, Change] = {}
    for row in rows:
        known = schema.tables.get(row.table)
        change = changes.get(row.table)
        if change is None:
            if known is None and len(schema.tables) + sum(one.is_new for one in changes.values()) >= EVENT_TABLES and row.table not in _TAKEN:
                continue
            change = changes[row.table] = Change(row.table, known is None)
        for column, value in row.values.items():
            has = known.get(column) if known else None
            kind = has or change.added.get(column)
            if kind is None:
                if len(known or ()) + len(change.added) < columns and row.table not in schema.full:
                    change.added[column] = kind_of(column, value)
                else:
                    schema.full.add(row.table)
                continue
            current = change.widened[column][1] if column in change.widened else kind
            if fit(column, value, current) is None and (row.table, column) not in schema.fixed:
                wider = Kind.FLOAT if current is Kind.INTEGER and kind_of(column, value) is Kind.FLOAT else Kind.TEXT
                if has:
                    change.widened[column] = (kind, wider)
                else:
                    change.added[column] = wider
    return [change for change in changes.values() if change.is_new or change.added or change.widened]


def apply(changes: Iterable[Change], schema: Schema) -> None:
    """Note that these changes were made."""
    for change in changes:
        columns = schema.tables.setdefault(change.table, {})
        columns.update(change.added)
        columns.update({column: wider for column, (_, wider) in change.widened.items()})


@dataclass(frozen=True, slots=True)
class Load:
    """Rows of one table with one list of columns; their ids differ."""

    table: str
    columns: Sequence[str]
    kinds: Sequence[Kind]
    rows: Sequence[Sequence[Any]]
    is_latest: bool

    @property
    def ids(self) -> list[str]:
        """Of its rows."""
        at = self.columns.index("id")
        return [row[at] for row in self.rows]


def loads_of(rows: Iterable[Row], schema: Schema) -> list[Load]:
    """The rows as the known tables take them, by table. Rows with one id become one: of events the first, of users and accounts the newest values."""
    by_table: dict[str, dict[str, dict[str, Any]]] = {}
    latest = set()
    for row in rows:
        known = schema.tables.get(row.table)
        if known is None:
            continue
        fitting = {column: fit(column, value, known[column]) for column, value in row.values.items() if column in known}
        fitting = {column: value for column, value in fitting.items() if value is not None}
        found = by_table.setdefault(row.table, {})
        if row.is_latest:
            latest.add(row.table)
        before = found.get(fitting["id"])
        if before is None:
            found[fitting["id"]] = fitting
        elif row.is_latest:
            older, newer = sorted((before, fitting), key=lambda values: values["received_at"])
            found[fitting["id"]] = older | newer
    return [_load(table, list(found.values()), schema.tables[table], table in latest) for table, found in sorted(by_table.items())]


def _load(table: str, found: Sequence[Mapping[str, Any]], known: Columns, is_latest: bool) -> Load:
    columns = list(dict.fromkeys(column for values in found for column in values))
    rows = [[values.get(column) for column in columns] for values in found]
    return Load(table, columns, [known[column] for column in columns], rows, is_latest)
