"""Transformations of a source or a destination: rename, set, move, allow, hash, drop (semantics page 5).

Every condition sees the event as it came to this stage: one transformation does not call for another. Those that hold are applied in the
order of the configuration, and within one of them everything is read from the message as it was before it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.base.event import Event, changed
from relay.kit.edits import read, with_change, with_value, without
from relay.kit.fql import Read, Test, compile_filter, compile_value
from relay.kit.js import ABSENT, encode
from relay.pipeline.decision import Drop, Rules
from relay.pipeline.stages.candidates import compile_candidates, rule_name
from relay.workspace.rules import Hashing, Transformation
from relay.workspace.transformations import HOMES, TOP_LEVEL, home_of, keys_at

STAGE: Final = "transform"
DROPPED: Final = Drop(STAGE, "FILTERED_BY_RULES")

Keys = tuple[str, ...]
Digest = Callable[[Any], Any]
Trie = dict[str, Any]
"""Keys that stay; None: with all that is below."""


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What one transformation does to a message whose bare names lie in one place (properties or traits)."""

    renames: tuple[tuple[Keys, Keys], ...]
    values: tuple[tuple[Keys, Any], ...]
    formulas: tuple[tuple[Keys, Read], ...]
    hashes: tuple[Keys, ...]
    digest: Digest | None
    allowed: Trie | None


@dataclass(frozen=True, slots=True, eq=False)
class _Transformation:
    """A transformation, compiled."""

    name: str
    test: Test
    drops: bool
    new_event_name: str
    work: Mapping[str, _Work]
    """By the place of bare names."""


def compile_transformations(transformations: Sequence[Transformation]) -> Rules | None:
    """All transformations of one owner as one step; None when there is nothing to do. Raises ConfigError."""
    candidates = compile_candidates(transformations, _compile)
    if candidates is None:
        return None

    def rewrite(event: Event) -> Event | Drop:
        possible = candidates(event)
        held = [one for one in possible if one.test(event)] if possible else possible
        if not held:
            return event
        result = event
        for one in held:
            if one.drops:
                return DROPPED
            result = _applied(one, result)
        return result

    def name(event: Event) -> str:
        held = [one for one in candidates(event) if one.test(event)]
        if dropping := next((one for one in held if one.drops), None):
            return dropping.name
        acting, result = [], event
        for one in held:
            before, result = result, _applied(one, result)
            acting += [one.name] if result is not before else []
        return ", ".join(acting)

    return Rules(STAGE, rewrite, name)


def _compile(given: Transformation, position: int) -> _Transformation:
    return _Transformation(
        name=rule_name("transformation", position, given.name, given.condition),
        test=compile_filter(given.condition),
        drops=given.drop,
        new_event_name=given.new_event_name,
        work={home: _work(given, home) for home in HOMES},
    )


def _work(given: Transformation, home: str) -> _Work:
    renames = tuple((keys_at(old, home), keys_at(new, home)) for old, new in given.renames)
    hashing = given.hashing
    return _Work(
        renames=renames,
        values=tuple((keys_at(path, home, TOP_LEVEL), value) for path, value in given.values),
        formulas=tuple((keys_at(path, home), compile_value(fql)) for path, fql in given.formulas),
        hashes=tuple(keys_at(path, home) for path in hashing.paths) if hashing else (),
        digest=_digest(hashing) if hashing else None,
        allowed=None if given.allow is None else _trie([keys_at(path, home) for path in given.allow], renames),
    )


def _applied(one: _Transformation, event: Event) -> Event:
    before = event.payload
    work = one.work[home_of(event.type)]
    kept: Any = before if work.allowed is None else _allowed(before, work.allowed)
    after = _renamed(kept, work.renames) if work.renames else kept
    for keys, value in work.values:
        after = with_value(after, keys, value)
    for keys, formula in work.formulas:
        value = formula(event)
        if value is not None:
            after = with_value(after, keys, value)
    if work.digest is not None:
        for keys in work.hashes:
            after = with_change(after, keys, work.digest)
    if one.new_event_name and event.type == "track" and event.name != one.new_event_name:
        after = {**after, "event": one.new_event_name}
    return event if after is before else changed(event, after)


def _renamed(payload: Mapping[str, Any], renames: Sequence[tuple[Keys, Keys]]) -> Mapping[str, Any]:
    """Each value under its new name; what has no place there, for a text or a list is in the way, stays where it is."""
    moved = [(old, new, value) for old, new in renames if (value := read(payload, old)) is not ABSENT]
    after = payload
    for old, _, _ in moved:
        after = without(after, old)
    for old, new, value in moved:
        placed = with_value(after, new, value)
        after = placed if read(placed, new) is not ABSENT else with_value(after, old, value)
    return after


# --- allowed paths -----------------------------------------------------------------------------------------------------------


def _trie(allowed: Sequence[Keys], renames: Sequence[tuple[Keys, Keys]]) -> Trie:
    """What stays of a message: what is listed, by its old or its new name."""
    wanted = [*allowed, *(old for old, new in renames if any(new[: len(keys)] == keys for keys in allowed))]
    trie: Trie = {}
    for keys in sorted(wanted, key=len):
        node = trie
        for key in keys[:-1]:
            below = node.setdefault(key, {})
            if below is None:
                break  # all of it stays already
            node = below
        else:
            node.setdefault(keys[-1], None)
    return trie


def _allowed(payload: Mapping[str, Any], trie: Trie) -> Mapping[str, Any]:
    """The message less what is not listed, within properties and traits; what else it holds stays."""
    for home in HOMES:
        value = payload.get(home)
        kept = value if value is None else _pruned(value, trie.get(home, {}))
        if kept is not value:
            payload = {**payload, home: {} if kept is ABSENT else kept}
    return payload


def _pruned(value: Any, trie: Trie | None) -> Any:
    """What stays of a value; ABSENT: nothing, for only keys within it are listed and it has none."""
    if trie is None:
        return value
    if isinstance(value, list):
        kept = [item for item in (_pruned(item, trie) for item in value) if item is not ABSENT]
        return value if len(kept) == len(value) and all(map(_is, kept, value)) else kept
    if not isinstance(value, dict):
        return ABSENT
    made = {key: item for key, item in ((key, _pruned(item, trie[key])) for key, item in value.items() if key in trie) if item is not ABSENT}
    return value if len(made) == len(value) and all(map(_is, made.values(), value.values())) else made


def _is(one: Any, other: Any) -> bool:
    return one is other


# --- hashing -----------------------------------------------------------------------------------------------------------------


_ENCODERS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "HEX": bytes.hex,
    "BASE16": lambda digest: digest.hex().upper(),
    "BASE64": lambda digest: base64.b64encode(digest).decode(),
    "BASE64URL": lambda digest: base64.urlsafe_b64encode(digest).decode(),
}


def _digest(hashing: Hashing) -> Digest:
    """Value to digest, over the UTF-8 bytes of its text; null stays."""
    name, key = hashing.algorithm.lower(), hashing.key.reveal().encode()
    text_of = _ENCODERS[hashing.encoding]

    def digest(value: Any) -> Any:
        if value is None:
            return None
        data = (value if isinstance(value, str) else encode(value)).encode("utf-8", "surrogatepass")
        return text_of(hmac.digest(key, data, name) if key else hashlib.new(name, data, usedforsecurity=False).digest())

    return digest
