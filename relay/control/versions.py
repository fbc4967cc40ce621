"""Two workspace versions beside each other: which sources and destinations mean the same under both, and what differs of the others. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from relay.base.secret import MASK, Secret
from relay.pipeline.compiled import Compiled, CompiledDestination, CompiledSource, compile_workspace
from relay.pipeline.decision import Rewrite
from relay.pipeline.explain import Change
from relay.pipeline.stages.protect import compile_protection
from relay.workspace.digest import plain
from relay.workspace.model import Destination, Source
from relay.workspace.rules import Matcher, PrivacyRules

PACE: Final = frozenset(
    ("order", "concurrency", "rate_per_s", "max_waiting", "retry", "retry_all", "timeout_s", "response_sample_bytes", "allow_private")
)
"""Of a destination: when and how often something is sent, never what."""


@dataclass(frozen=True, slots=True)
class SourcePair:
    """A source under both versions."""

    before: CompiledSource | None
    after: CompiledSource | None
    is_same: bool
    redact: Rewrite | None = None
    """What the changed source would leave out before it stores an event, and does not leave out yet."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A destination under both versions; None: it does not exist there."""

    slug: str
    name: str
    before: CompiledDestination | None
    after: CompiledDestination | None
    is_same: bool
    is_sent_alike: bool = False
    """The same definition with the same settings: equal fields of equal events make equal requests."""
    mapped_alike: frozenset[str] = frozenset()
    """Subscriptions with the same action and mapping."""
    unseen: tuple[Change, ...] = ()
    """Differences that no request shows: a secret, another endpoint."""

    def hears(self, source_id: str) -> bool:
        return any(side is not None and source_id in side.source_ids for side in (self.before, self.after))

    @property
    def state(self) -> str:
        if self.before is None or self.after is None:
            return "new" if self.before is None else "removed"
        return "same" if self.is_same else "different"


def names_of(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """Those of both, each once, in their order."""
    return list(dict.fromkeys((*one, *other)))


def slug_of(source_id: str, before: Compiled, after: Compiled) -> str:
    return next(side.sources[source_id].source.slug for side in (before, after) if source_id in side.sources)


def source_pair(source_id: str, before: Compiled, after: Compiled) -> SourcePair:
    one, other = before.sources.get(source_id), after.sources.get(source_id)
    if one is None or other is None:
        return SourcePair(one, other, False)
    return SourcePair(one, other, _rules(one.source, before) == _rules(other.source, after), _newly_redacted(one.source, other.source))


def _rules(source: Source, compiled: Compiled) -> dict[str, Any]:
    """Everything of a source that says something about events."""
    rules = {name: plain(getattr(source, name)) for name in ("enabled", "schema", "transformations", "privacy")}
    return rules | {"plan": next((plain(plan.rules) for plan in compiled.workspace.plans if plan.slug == source.plan), None)}


def _newly_redacted(before: Source, after: Source) -> Rewrite | None:
    """Stored events went through the source's old rules before they were stored, so only those that are new can do anything."""
    old, new = before.privacy, after.privacy
    added = replace(
        new,
        block=_without(new.block, old.block),
        mask=_without(new.mask, old.mask),
        hash=_without(new.hash, old.hash),
        encrypt=_without(new.encrypt, old.encrypt),
    )
    return compile_protection(added) if added else None


def _without(entries: tuple[Matcher, ...], known: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    return tuple(one for one in entries if one not in known)


def destination_pair(before: CompiledDestination | None, after: CompiledDestination | None) -> Pair:
    known = after or before
    assert known is not None
    slug, name = known.destination.slug, known.destination.name
    if before is None or after is None:
        return Pair(slug, name, before, after, False)
    one, other = before.destination, after.destination
    is_same = _meant(one) == _meant(other)
    secrets = [key for key, value in other.settings.items() if isinstance(value, Secret) and one.settings.get(key) != value]
    unseen = [Change(f"settings.{key}", MASK, f"{MASK} (another one)") for key in secrets]
    if one.endpoint != other.endpoint:
        unseen.append(Change("endpoint", one.endpoint, other.endpoint))
    shared = {
        key: other.settings[key] if key in secrets or plain(value) == plain(other.settings.get(key)) else value for key, value in one.settings.items()
    }
    kept = {one.subscription_id: plain([one.action, one.mapping]) for one in one.subscriptions}
    return Pair(
        slug,
        name,
        replace(before, destination=replace(one, settings=shared)),
        after,
        is_same,
        one.type == other.type and plain(shared) == plain(other.settings),
        frozenset(one.subscription_id for one in other.subscriptions if kept.get(one.subscription_id) == plain([one.action, one.mapping])),
        tuple(unseen),
    )


def _meant(destination: Destination) -> dict[str, Any]:
    return {name: value for name, value in plain(destination).items() if name not in PACE}


def without_chance(before: Compiled, after: Compiled) -> tuple[Compiled, Compiled]:
    """Encryption gives another text each time, so it is replaced: by a hash where both versions encrypt the same fields with the same key, by
    a mask where only one does."""
    ones = {one.destination_id: one for one in before.workspace.destinations}
    others = {one.destination_id: one for one in after.workspace.destinations}
    if not any(one.privacy.encrypt for one in (*ones.values(), *others.values())):
        return before, after
    return _steadied(before, others), _steadied(after, ones)


def _steadied(side: Compiled, beside: Mapping[str, Destination]) -> Compiled:
    """One version; `beside`: the destinations of the other one."""
    destinations = []
    for one in side.workspace.destinations:
        other = beside.get(one.destination_id)
        destinations.append(replace(one, privacy=_steady(one.privacy, other.privacy if other else PrivacyRules())))
    return compile_workspace(replace(side.workspace, destinations=tuple(destinations)), side.catalog)


def _steady(rules: PrivacyRules, beside: PrivacyRules) -> PrivacyRules:
    shared = beside.encrypt if rules.public_key == beside.public_key else ()
    alone = _without(rules.encrypt, shared)
    alike = _without(rules.encrypt, alone)
    return replace(rules, mask=(*rules.mask, *alone), hash=(*rules.hash, *alike), encrypt=(), public_key="")
