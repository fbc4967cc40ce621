"""Two workspace versions beside each other: which sources and destinations mean the same under both, and what differs of the others. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from relay.base import jsonio
from relay.base.secret import MASK, Secret
from relay.kit.encryption import Encrypt
from relay.pipeline.compiled import Compiled, CompiledDestination, CompiledSource
from relay.pipeline.decision import Rewrite
from relay.pipeline.explain import Change
from relay.pipeline.stages.protect import compile_protection
from relay.workspace.digest import plain
from relay.workspace.model import Destination, Source
from relay.workspace.rules import Matcher

PACE: Final = frozenset(
    ("order", "concurrency", "rate_per_s", "max_waiting", "retry", "retry_all", "timeout_s", "response_sample_bytes", "allow_private")
)
"""Of a destination: when and how often something is sent, never what."""


PRIVACY: Final = "privacy"
"""The stage of a destination that encrypts."""


@dataclass(frozen=True, slots=True)
class SourcePair:
    """A source under both versions."""

    before: CompiledSource | None
    after: CompiledSource | None
    is_same: bool
    is_routed_alike: bool = False
    """Which destinations may have an event is the same under both."""
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
    plan, replan = _plan(one.source, before), _plan(other.source, after)
    return SourcePair(
        one,
        other,
        _rules(one.source) == _rules(other.source) and plan == replan,
        _routing(one.source, plan) == _routing(other.source, replan),
        _newly_redacted(one.source, other.source),
    )


def _plan(source: Source, compiled: Compiled) -> Any:
    return next((plain(plan.rules) for plan in compiled.workspace.plans if plan.slug == source.plan), None)


def _rules(source: Source) -> dict[str, Any]:
    """Everything else of a source that says something about events."""
    return {name: plain(getattr(source, name)) for name in ("enabled", "schema", "transformations", "privacy")}


def _routing(source: Source, plan: Any) -> list[Any]:
    return [plain(source.schema.events), source.schema.enforce_destinations and plan]


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
    return compile_protection(added, _stand_in(added.public_key)) if added else None


def _without(entries: tuple[Matcher, ...], known: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    return tuple(one for one in entries if one not in known)


def destination_pair(before: CompiledDestination | None, after: CompiledDestination | None) -> Pair:
    before, after = _without_chance(before), _without_chance(after)
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


def _without_chance(compiled: CompiledDestination | None) -> CompiledDestination | None:
    """Encryption gives another text each time; here it gives one that is the same for the same text and key."""
    if compiled is None or not compiled.destination.privacy.encrypt:
        return compiled
    rules = compiled.destination.privacy
    steps = ((stage, compile_protection(rules, _stand_in(rules.public_key)) if stage == PRIVACY else step) for stage, step in compiled.before_mapping)
    return replace(compiled, before_mapping=tuple((stage, step) for stage, step in steps if step is not None))


def _stand_in(public_key: str) -> Encrypt:
    return lambda text: f"encrypted:{hashlib.sha256(jsonio.dumps([public_key, text])).hexdigest()[:16]}"
