"""Edits of a message by path, copy on write: what is given is never changed, and is handed back itself when there is nothing to do.

A path is a row of keys (`split_path`). Where it meets a list it goes on in each object of that list, also of lists in it; where it meets any
other value that is no object, there is nothing to edit.
"""

from collections.abc import Callable
from typing import Any

from relay.kit.js import ABSENT, is_same

Edit = Callable[[Any], Any]
"""Old value to new value; ABSENT on either side: it is not there."""


def split_path(text: str) -> tuple[str, ...]:
    r"""The keys of a dotted path; `\.` is a dot within a key."""
    if "\\" not in text:
        return tuple(text.split("."))
    keys, key, is_escaped = [], "", False
    for letter in text:
        if is_escaped or letter not in "\\.":
            key, is_escaped = key + letter, False
        elif letter == "\\":
            is_escaped = True
        else:
            keys.append(key)
            key = ""
    return (*keys, key)


def read(payload: Any, keys: tuple[str, ...]) -> Any:
    """The value at a path, or ABSENT; nothing is read from inside a list."""
    value = payload
    for key in keys:
        if value.__class__ is not dict:
            return ABSENT
        value = value.get(key, ABSENT)
    return value


def with_value(payload: Any, keys: tuple[str, ...], value: Any) -> Any:
    """`payload` with `value` at a path; objects that are missing on the way (or null) are made."""
    return _edited(payload, keys, lambda old: old if old is not ABSENT and _is_equal(old, value) else value, makes=True)


def without(payload: Any, keys: tuple[str, ...]) -> Any:
    """`payload` less what is at a path."""
    return _edited(payload, keys, lambda old: ABSENT, makes=False)


def with_change(payload: Any, keys: tuple[str, ...], change: Edit) -> Any:
    """`payload` with what is at a path changed; `change` is not asked where nothing is."""
    return _edited(payload, keys, lambda old: old if old is ABSENT else change(old), makes=False)


def with_objects(payload: Any, keys: tuple[str, ...], change: Edit) -> Any:
    """`payload` with the object at a path changed, or each object of the list there; no keys: `payload` itself is that object."""

    def change_objects(value: Any) -> Any:
        if value.__class__ is list:
            return _each(value, change_objects)
        return change(value) if value.__class__ is dict else value

    return with_change(payload, keys, change_objects) if keys else change_objects(payload)


def _edited(value: Any, keys: tuple[str, ...], change: Edit, *, makes: bool) -> Any:
    if value.__class__ is list:
        return _each(value, lambda item: _edited(item, keys, change, makes=makes))
    if value.__class__ is not dict:
        return value
    key, rest = keys[0], keys[1:]
    old = value.get(key, ABSENT)
    if not rest:
        new = change(old)
    elif makes and (old is ABSENT or old is None):
        new = _edited({}, rest, change, makes=True)
    else:
        new = _edited(old, rest, change, makes=makes)
    if new is old:
        return value
    if new is ABSENT:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: new}


def _each(items: list[Any], change: Edit) -> list[Any]:
    made = [change(item) for item in items]
    return items if all(new is old for new, old in zip(made, items, strict=True)) else made


def _is_equal(old: Any, new: Any) -> bool:
    """Of containers nothing but the same one is equal: to compare them costs more than to put one in."""
    return old is new or (not isinstance(old, dict | list) and old.__class__ is new.__class__ and is_same(old, new))
