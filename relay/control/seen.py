"""What one source has been seen to send under one name: how often, and with which fields. Values, and how a payload is looked through.

No value is kept but one sample per field, masked, and none of a field that is red or yellow. Nothing here asks a clock or a database.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.base.masking import mask

FIELDS_MAX: Final = 300
"""Of one event name (semantics page 2.5); what comes beyond is counted."""
NAME_MAX: Final = 200
"""Longest event name, and longest path of a field, that is written down."""
DEPTH_MAX: Final = 8
ITEMS_MAX: Final = 10
"""Of a list, so many items are looked at."""
VALUES_MAX: Final = 2_000
"""Of one event, so many values are looked at."""
VALUES_ALL: Final = 20
VALUES_SOME: Final = 16
"""Of a field's values the first ones are judged, then every so many."""
SAMPLE_CHARS: Final = 60
CONTENT: Final = ("properties", "traits")
CONTEXT: Final = ("context",)
RANK: Final[Mapping[str, int]] = {"": 0, "green": 0, "yellow": 1, "red": 2}

_KINDS: Final[Mapping[type, str]] = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array", dict: "object",
}  # fmt: skip

Color = tuple[str, str]
"""`red`, `yellow` or empty, and the name of the matcher that said so."""


@dataclass(slots=True, eq=False)
class SeenField:
    """One path. Counts are of the events that were looked through, not of all."""

    first_ms: int
    last_ms: int = 0
    count: int = 0
    types: dict[str, int] = field(default_factory=dict)
    color: str = ""
    """The worst that it ever was: green never makes a field harmless again that was red or yellow."""
    matcher: str = ""
    sample: Any = None
    owner: str = ""
    """Marks of the user whose event gave the sample (`mark_of`), so that it goes when the user is forgotten."""

    def stain(self, color: str, matcher: str) -> bool:
        """Take on a worse colour and lose the sample; whether anything changed."""
        if RANK[color] <= RANK[self.color]:
            return False
        self.color, self.matcher, self.sample, self.owner = color, matcher, None, ""
        return True


@dataclass(slots=True, eq=False)
class SeenEvent:
    """One call type and name of one source."""

    source_id: str
    type: str
    name: str
    first_ms: int
    last_ms: int = 0
    count: int = 0
    blocked: int = 0
    walked: int = 0
    """Events that were looked through."""
    omitted: int = 0
    """Fields met that found no room; one is counted each time."""
    fields: dict[str, SeenField] = field(default_factory=dict)
    next_ms: int = 0
    """Events received before this are only counted."""
    saved: int = 0
    """`count` as written last."""
    saved_walked: int = 0
    grown: bool = False
    """A field, a type, a colour or a sample has come since the last write."""


@dataclass(frozen=True, slots=True)
class Lens:
    """How fields are looked at. `of_path` and `of_value` tell colours; `take_room` gives one more field room, or says that there is none."""

    of_path: Callable[[str, str], Color]
    """(source id, path)."""
    of_value: Callable[[str, str, Any], Color]
    """(source id, path, value)."""
    take_room: Callable[[], bool]
    mask_names: tuple[str, ...]


def look_through(seen: SeenEvent, payload: Mapping[str, Any], roots: Iterable[str], lens: Lens, *, at_ms: int, users: tuple[str, ...]) -> None:
    """Write down the fields of one event below `roots`; `users`: its user keys."""
    met: set[str] = set()
    for number, (path, key, value) in enumerate(fields_of(payload, roots)):
        if number >= VALUES_MAX:
            seen.omitted += 1
            return
        known = seen.fields.get(path)
        if known is None:
            if len(seen.fields) >= FIELDS_MAX or len(path) > NAME_MAX or not lens.take_room():
                seen.omitted += 1
                continue
            known = seen.fields[path] = SeenField(at_ms)
            seen.grown = True
        kind = _KINDS.get(type(value), "object")
        if kind not in known.types:
            seen.grown = True
        known.types[kind] = known.types.get(kind, 0) + 1
        known.last_ms = at_ms
        if path not in met:
            met.add(path)
            known.count += 1
        seen.grown |= _judge(seen.source_id, known, path, value, lens)
        if known.sample is None and not known.color and isinstance(value, str | int | float):
            known.sample = _sample(key, value, lens.mask_names, users)
            if known.sample is not None:
                known.owner = " ".join(mark_of(user) for user in users)
                seen.grown = True


def fields_of(payload: Mapping[str, Any], roots: Iterable[str]) -> Iterator[tuple[str, str, Any]]:
    """(path, last key, value) of everything below `roots`; a path leads through lists into the objects in them."""
    for root in roots:
        value = payload.get(root)
        if isinstance(value, Mapping):
            yield from _below(root, value, DEPTH_MAX)


def mark_of(user: str) -> str:
    """Stands for a user without telling the id."""
    return hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _below(at: str, value: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str, Any]]:
    for key, item in value.items():
        path = f"{at}.{key.replace('.', chr(92) + '.')}"
        yield path, key, item
        if depth and isinstance(item, Mapping):
            yield from _below(path, item, depth - 1)
        elif depth and isinstance(item, list):
            for inner in item[:ITEMS_MAX]:
                if isinstance(inner, Mapping):
                    yield from _below(path, inner, depth - 1)


def _judge(source_id: str, known: SeenField, path: str, value: Any, lens: Lens) -> bool:
    """Colours by key each time (it costs a look-up), by value for the first ones, for the sample, and then now and then."""
    changed = known.stain(*lens.of_path(source_id, path))
    if known.color or not isinstance(value, str | int | float):
        return changed
    if known.count > VALUES_ALL and known.count % VALUES_SOME and known.sample is not None:
        return changed
    return known.stain(*lens.of_value(source_id, path, value)) or changed


def _sample(key: str, value: Any, mask_names: tuple[str, ...], users: tuple[str, ...]) -> Any:
    """The value as a person may see it; None: it may not be kept."""
    text = value if isinstance(value, str) else str(value)
    if not text or "@" in text or any(user in text for user in users):  # free text may hold an address that no matcher sees
        return None
    value = mask({key: value}, mask_names)[key]
    return value if not isinstance(value, str) or len(value) <= SAMPLE_CHARS else value[:SAMPLE_CHARS] + "…"
