"""A stored workspace made again from its document, for a comparison with another one.

The document does not hold the text of a secret. One that is the same in the other workspace is taken from there; any other keeps its mask.
"""

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from relay.base.secret import MASK, Secret
from relay.workspace.digest import plain
from relay.workspace.model import Workspace

_MARK_CHARS = len(MASK) + 8


def workspace_of(document: Mapping[str, Any], version: int, beside: Workspace) -> Workspace:
    """The workspace of a document of `workspace.digest`; a key that this release does not know is passed over, a new one has its default."""
    known = {plain(secret): secret for secret in _secrets_in(beside)}
    workspace: Workspace = _Reader(known).read(Workspace, {"version": version, "sources": [], "destinations": [], **document})
    return workspace


@dataclass(frozen=True, slots=True)
class _Reader:
    secrets: Mapping[str, Secret]
    """By what stands for them in a document."""

    def read(self, kind: Any, value: Any) -> Any:
        """`value`, which is JSON, as a value of the type `kind`."""
        kind = _chosen(kind)
        if isinstance(value, str):
            return self._text(value) if kind is not Secret or value else Secret("")
        if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            hints = get_type_hints(kind)
            names = [entry.name for entry in dataclasses.fields(kind) if entry.name in value]
            return kind(**{name: self.read(hints[name], value[name]) for name in names})  # type: ignore[operator]
        parts = get_args(kind)
        if isinstance(value, Mapping):
            return {key: self.read(parts[1] if len(parts) == 2 else Any, item) for key, item in value.items()}
        if isinstance(value, list):
            items = [self.read(_item_kind(parts, position), item) for position, item in enumerate(value)]
            return tuple(items) if get_origin(kind) is tuple else items
        return value

    def _text(self, text: str) -> str | Secret:
        if not text.startswith(MASK) or len(text) != _MARK_CHARS:
            return text
        return self.secrets.get(text) or Secret(text)


def _chosen(kind: Any) -> Any:
    """Of `X | None` the X."""
    if get_origin(kind) in (Union, types.UnionType):
        return next((one for one in get_args(kind) if one is not type(None)), Any)
    return kind


def _item_kind(parts: tuple[Any, ...], position: int) -> Any:
    """The type of one item of a tuple, whose types are either listed one by one or followed by dots."""
    if not parts or (len(parts) > 1 and parts[1] is not Ellipsis):
        return parts[position] if position < len(parts) else Any
    return parts[0]


def _secrets_in(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif dataclasses.is_dataclass(value):
        for entry in dataclasses.fields(value):
            yield from _secrets_in(getattr(value, entry.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets_in(item)
