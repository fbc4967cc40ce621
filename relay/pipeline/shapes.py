"""What a stream of events looks like: by type and name, each field with its types, how often it is there, its few values, its format. Pure.

Memory is bounded whatever comes: so many event names, so many fields, so many values of a field; what is beyond is only counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.base.event import Event
from relay.kit.formats import FORMATS
from relay.kit.json_schema import compile_schema

EVENTS_MAX: Final = 4_000
EVENT_FIELDS_MAX: Final = 300
"""Segment keeps as many event names a source, and properties an event."""
FIELDS_MAX: Final = 50_000
VALUES_MAX: Final = 12
"""Different texts of a field that are remembered; with more it has no list of values."""
VALUE_CHARS: Final = 40
FORMAT_CHARS: Final = 500
EXAMPLES: Final = 3
EXAMPLE_CHARS: Final = 60
ITEMS_MAX: Final = 50
"""Of a longer array only the first are looked at."""
DEPTH_MAX: Final = 6
INFERRED_FORMATS: Final = ("date-time", "email", "uuid", "uri")
_VALID: Final = {name: compile_schema({"format": name}).is_valid for name in INFERRED_FORMATS}
"""What a rule with the format would say; `uuid` is none of draft 7, so that it takes everything."""

_INNER: Final = {"track": "properties", "page": "properties", "screen": "properties", "identify": "traits", "group": "traits"}
"""Type of call to the part of its message that a rule speaks about; alias has none."""
_TYPE_OF: Final = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array", type(None): "null"}


@dataclass(slots=True)
class Shape:
    """What was seen of one field."""

    n: int = 0
    """How often it was there."""
    first_ms: int = 0
    last_ms: int = 0
    types: dict[str, int] = field(default_factory=dict)
    """By name of JSON Schema."""
    values: dict[str, int] | None = field(default_factory=dict)
    """Its texts, while they are short and few; None: they are not."""
    formats: tuple[str, ...] = INFERRED_FORMATS
    """Those that all of its texts have."""
    examples: list[Any] = field(default_factory=list)
    fields: dict[str, "Shape"] = field(default_factory=dict)
    """Of objects."""
    items: "Shape | None" = None
    """Of arrays: all items alike."""


@dataclass(slots=True)
class EventShape:
    """What was seen of one event."""

    type: str
    name: str
    """Of a track call; empty: all calls of the type."""
    inner: str
    """`properties` or `traits`."""
    n: int = 0
    first_ms: int = 0
    last_ms: int = 0
    root: Shape = field(default_factory=Shape)
    fields: int = 0

    def each_field(self) -> Iterator[tuple[tuple[str, ...], Shape, Shape]]:
        """Every field, parents first: its full path (`$`: items of an array), its shape and its parent's."""
        yield from _each((self.inner,), self.root)

    def at(self, path: tuple[str, ...]) -> tuple[Shape, Shape] | None:
        """Shape and parent's shape of a full path; None: it was not seen."""
        if not path or path[0] != self.inner:
            return None
        parent, shape = self.root, self.root
        for name in path[1:]:
            inner = shape.items if name == "$" else shape.fields.get(name)
            if inner is None:
                return None
            parent, shape = shape, inner
        return shape, parent


class Traffic:
    """Collects. `only`: type and name of the one event that is wanted."""

    def __init__(self, only: tuple[str, str] | None = None) -> None:
        self.events: dict[tuple[str, str], EventShape] = {}
        self.read = 0
        """Events that were looked at."""
        self.truncated = False
        """Whether names or fields were left out because there were too many."""
        self._only = only
        self._fields = 0

    def add(self, event: Event) -> None:
        """One event, as the plan would see it."""
        inner = _INNER.get(event.type)
        if inner is None:
            return
        key = (event.type, event.name if event.type == "track" else "")
        if self._only is not None and key != self._only:
            return
        self.read += 1
        shape = self.events.get(key)
        if shape is None:
            if len(self.events) >= EVENTS_MAX:
                self.truncated = True
                return
            shape = self.events[key] = EventShape(*key, inner, first_ms=event.received_ms)
        shape.n += 1
        shape.first_ms = min(shape.first_ms, event.received_ms)
        shape.last_ms = max(shape.last_ms, event.received_ms)
        value = event.payload.get(inner)
        self._value(shape, shape.root, value if isinstance(value, Mapping) else {}, event.received_ms, 0)

    def _value(self, event: EventShape, shape: Shape, value: Any, at_ms: int, depth: int) -> None:
        kind = _TYPE_OF.get(value.__class__, "object")
        if kind == "number" and value.is_integer():
            kind = "integer"  # as JSON Schema has it
        shape.n += 1
        shape.first_ms = shape.first_ms or at_ms
        shape.last_ms = at_ms
        shape.types[kind] = shape.types.get(kind, 0) + 1
        if kind == "object":
            if depth < DEPTH_MAX:
                for name, item in value.items():
                    inner = shape.fields.get(name) or self._room_for(event, shape, name)
                    if inner is not None:
                        self._value(event, inner, item, at_ms, depth + 1)
        elif kind == "array":
            if depth < DEPTH_MAX and value:
                if shape.items is None:
                    shape.items = Shape()
                for item in value[:ITEMS_MAX]:
                    self._value(event, shape.items, item, at_ms, depth + 1)
        elif kind == "string":
            _text(shape, value)
        elif kind != "null" and len(shape.examples) < EXAMPLES and value not in shape.examples:
            shape.examples.append(value)

    def _room_for(self, event: EventShape, shape: Shape, name: str) -> Shape | None:
        if event.fields >= EVENT_FIELDS_MAX or self._fields >= FIELDS_MAX:
            self.truncated = True
            return None
        event.fields += 1
        self._fields += 1
        made = shape.fields[name] = Shape()
        return made


def _text(shape: Shape, value: str) -> None:
    if shape.formats:
        shape.formats = tuple(name for name in shape.formats if len(value) <= FORMAT_CHARS and FORMATS[name][0](value) and _VALID[name](value))
    if shape.values is not None:
        if len(value) > VALUE_CHARS or (value not in shape.values and len(shape.values) >= VALUES_MAX):
            shape.values = None
        else:
            shape.values[value] = shape.values.get(value, 0) + 1
    if len(shape.examples) < EXAMPLES:
        example = value if len(value) <= EXAMPLE_CHARS else value[:EXAMPLE_CHARS] + "…"
        if example not in shape.examples:
            shape.examples.append(example)


def _each(path: tuple[str, ...], shape: Shape) -> Iterator[tuple[tuple[str, ...], Shape, Shape]]:
    for name, inner in shape.fields.items():
        yield (*path, name), inner, shape
        yield from _each((*path, name), inner)
    if shape.items is not None:
        yield (*path, "$"), shape.items, shape
        yield from _each((*path, "$"), shape.items)
