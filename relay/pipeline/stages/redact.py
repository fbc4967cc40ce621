"""Sensitive fields: blocked, masked, hashed or encrypted, in context, traits and properties (semantics page 6).

Of a source this runs before the commit, so what is blocked never reaches the disk; of a destination after the trigger, before the mapping.
Where rules overlap, block beats encrypt beats hash beats mask. The top level of a message (its ids, its name) is never touched, and null and
what is empty stay as they are. Keys are judged once and remembered, so a message without sensitive keys costs one look-up for each field.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from relay.base import jsonio
from relay.base.secret import MASK
from relay.kit.edits import split_path
from relay.kit.encryption import Encrypt, compile_encryption
from relay.kit.matchers import SECTIONS, THINGS, Matcher, Ranked, rank_keys, rank_values
from relay.workspace.rules import PrivacyRules

Redact = Callable[[Mapping[str, Any]], Mapping[str, Any]]

MASKED, HASHED, ENCRYPTED, BLOCKED = 1, 2, 3, 4
"""Ranks of what happens to a field; 0: nothing."""
GONE: Final = object()
"""What a blocked value becomes."""

_OUTSIDE: Final = frozenset(
    {
        "type", "event", "name", "category", "userId", "anonymousId", "groupId", "previousId", "messageId", "timestamp", "originalTimestamp",
        "sentAt", "receivedAt", "channel", "version",
    }
)  # fmt: skip
"""What stands beside the sections in every message."""


def compile_redaction(rules: PrivacyRules, encrypt: Encrypt | None = None) -> Redact | None:
    """Message to message; what it is given is not changed, and is handed back itself when nothing is found. None: no rules. Raises ConfigError.

    An encrypted value is another one at each call. What cannot be encrypted raises EncryptionError; nesting beyond what Python and JSON can
    carry raises RecursionError or TypeError: the caller must not let the message go on.
    """
    if not rules:
        return None
    write: dict[int, Callable[[Any], Any]] = {MASKED: _masked, HASHED: _hashed}
    if rules.encrypt:
        write[ENCRYPTED] = _writer(encrypt or compile_encryption(rules.public_key))
    return _Walk(_ranked(rules), write).message


def compile_cover(rules: PrivacyRules) -> Callable[[Any], Any] | None:
    """For what is kept of a refused message, whatever its shape: every field that a rule might mean is masked. None: no rules.

    Nobody knows where the fields of a message stand that is no message, so a path means its last key anywhere, and a text that may hold
    fields of its own (JSON within JSON, a form) is masked as a whole. Raises what `compile_redaction` says.
    """
    if not rules:
        return None
    anywhere = [replace(matcher, keys=(split_path(matcher.path)[-1],), path="", of_things=True) for matcher, _ in _ranked(rules) if matcher.path]
    walk = _Walk([(matcher, MASKED) for matcher in (*anywhere, *(matcher for matcher, _ in _ranked(rules) if not matcher.path))], {MASKED: _masked})

    def cover(message: Any) -> Any:
        opened = _without_texts(message)
        if opened.__class__ is not dict:
            return walk.value("", opened, None, False)
        beside = {key: value for key, value in opened.items() if key in _OUTSIDE and value.__class__ not in (dict, list)}
        covered = walk.value("", {key: value for key, value in opened.items() if key not in beside}, None, False)
        return {key: beside.get(key, covered.get(key)) for key in opened}

    return cover


def _ranked(rules: PrivacyRules) -> list[tuple[Matcher, int]]:
    lists = ((rules.block, BLOCKED), (rules.encrypt, ENCRYPTED), (rules.hash, HASHED), (rules.mask, MASKED))
    return [(matcher, rank) for matchers, rank in lists for matcher in matchers]


class _Place:
    """What paths say about one place: the rank of the field there, and what stands below it."""

    __slots__ = ("below", "rank")

    def __init__(self) -> None:
        self.rank = 0
        self.below: dict[str, _Place] = {}


def _places(paths: Sequence[tuple[str, int]]) -> dict[str, _Place]:
    root = _Place()
    for path, rank in paths:
        keys = split_path(path)
        for start in (keys, ("context", *keys)) if keys[0] == "traits" else (keys,):  # a track carries the user's traits in its context
            place = root
            for key in start:
                place = place.below.setdefault(key, _Place())
            place.rank = max(rank, place.rank)
    return root.below


class _Walk:
    """Goes once over a message. `write`: rank to what makes the new value of a field; `least`: ranks below it are left alone."""

    def __init__(self, ranked: Ranked, write: dict[int, Callable[[Any], Any]], least: int = MASKED) -> None:
        kept = [(matcher, rank) for matcher, rank in ranked if rank >= least]
        fields = [(matcher, rank) for matcher, rank in kept if not matcher.path]
        self._places = _places([(matcher.path, rank) for matcher, rank in kept if matcher.path])
        self._keys = (rank_keys(fields), rank_keys(fields, in_thing=True))
        self._rank_value = rank_values(fields)
        self._only_paths = not fields
        self._write, self._least = write, least
        inner = [(matcher, rank) for matcher, rank in ranked if rank == BLOCKED]
        self._blocking = _Walk(inner, {}, BLOCKED) if least < BLOCKED and inner and len(inner) < len(kept) else None

    def message(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The message with its three sections redacted."""
        changed: dict[str, Any] | None = None
        for section in SECTIONS:
            value = message.get(section)
            if value and (section in self._places or not self._only_paths):
                new = self.value(section, value, self._places.get(section), False)
                if new is not value:
                    if changed is None:
                        changed = dict(message)
                    changed[section] = {} if new is GONE else new
        return message if changed is None else changed

    def value(self, key: str, value: Any, place: _Place | None, in_thing: bool) -> Any:
        """A value that no key or path names: what is in it, or what it says by itself."""
        kind = value.__class__
        if kind is dict:
            return self._object(value, place, in_thing or key in THINGS)
        if kind is list:
            return self._list(key, value, place, in_thing)
        if value and self._rank_value is not None and (rank := self._rank_value(key, value)):
            return GONE if rank == BLOCKED else self._write[rank](value)
        return value

    def _object(self, node: dict[str, Any], place: _Place | None, in_thing: bool) -> dict[str, Any]:
        keys, below = self._keys[in_thing], place.below if place is not None else None
        rank_value, least, result = self._rank_value, self._least, node
        for key, value in node.items() if not self._only_paths else [(key, node[key]) for key in below or () if key in node]:
            rank = keys[key]
            inner = None
            if below is not None and (inner := below.get(key)) is not None and inner.rank > rank:
                rank = inner.rank
            if rank and rank >= least:
                new = GONE if rank == BLOCKED else self._sealed(rank, key, value, inner)
            else:
                kind = value.__class__
                if kind is dict:
                    new = self._object(value, inner, in_thing or key in THINGS) if value else value
                elif kind is list:
                    new = self._list(key, value, inner, in_thing) if value else value
                elif rank_value is None or not value or not (rank := rank_value(key, value)):
                    continue
                else:
                    new = GONE if rank == BLOCKED else self._write[rank](value)
            if new is value:
                continue
            if result is node:
                result = dict(node)
            if new is GONE:
                del result[key]
            else:
                result[key] = new
        return result

    def _list(self, key: str, node: list[Any], place: _Place | None, in_thing: bool) -> list[Any]:
        changed = False
        result = []
        for value in node:
            new = self.value(key, value, place, in_thing)
            changed = changed or new is not value
            if new is not GONE:
                result.append(new)
        return result if changed else node

    def _sealed(self, rank: int, key: str, value: Any, place: _Place | None) -> Any:
        """A value that is masked, hashed or encrypted as a whole; what is blocked within it goes first."""
        if value is None or value == "" or value == {} or value == []:
            return value
        if rank != MASKED and self._blocking is not None:
            value = self._blocking.value(key, value, place, False)
        return value if value is GONE else self._write[rank](value)


def _masked(value: Any) -> str:
    return value if value.__class__ is str and value == MASK else MASK


def _hashed(value: Any) -> str:
    return hashlib.sha256(_text(value).encode("utf-8", "replace")).hexdigest()


def _writer(encrypt: Encrypt) -> Callable[[Any], str]:
    return lambda value: encrypt(_text(value))


def _text(value: Any) -> str:
    return value if value.__class__ is str else jsonio.dumps(value).decode()


def _without_texts(message: Any) -> Any:
    """A message without texts that stand where objects are meant, or hold objects themselves."""
    kind = message.__class__
    if kind is str:
        return MASK
    if kind is list:
        return [_unread(item) if item.__class__ is str else _without_texts(item) for item in message]
    if kind is not dict:
        return message
    return {
        key: MASK if key in SECTIONS and value.__class__ is str else _unread(value) if value.__class__ is str else _without_texts(value)
        for key, value in message.items()
    }


def _unread(text: str) -> str:
    return MASK if text.lstrip()[:1] in ("{", "[") or "=" in text else text
