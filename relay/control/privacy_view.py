"""Which sensitive fields the sources send, what is done to them on their way, and what nobody has decided yet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.base.clock import Clock
from relay.control.colors import Colors, worst
from relay.control.fieldbook import Fieldbook
from relay.control.operate import Audit
from relay.control.publish import Publisher
from relay.control.rules_view import place_row
from relay.control.schema_view import find_source
from relay.control.seen import NAME_MAX, RANK, SeenEvent, SeenField
from relay.errors import RequestError
from relay.kit.edits import split_path
from relay.kit.matchers import SECTIONS, THINGS, Matcher, classifier, normal, with_standard
from relay.pipeline.compiled import Compiled, Current
from relay.workspace.model import Source, Workspace
from relay.workspace.rules import PrivacyRules
from relay.workspace.stored import COLORS, Stored

INBOX_S: Final = 7 * 86_400.0
DECISIONS_MAX: Final = 4_000
SLICE_EVENTS: Final = 20
SLICE_FIELDS: Final = 1_000
"""Looked at between two breaths of the loop."""
HOWS: Final = ("block", "encrypt", "hash", "mask")
"""What beats the ones after it."""
Told = dict[str, Any]


@dataclass(slots=True)
class _Field:
    """One path of one source, over all event names."""

    event: str
    """The name that it was met with most often; empty: the context of all."""
    known: SeenField
    most: int


class PrivacyView:
    """Tells and decides. A decision leaves an audit row."""

    def __init__(self, *, fieldbook: Fieldbook, colors: Colors, current: Current, publisher: Publisher, access: Audit, clock: Clock) -> None:
        self._fieldbook = fieldbook
        self._colors = colors
        self._current = current
        self._publisher = publisher
        self._access = access
        self._clock = clock
        self._deeds: tuple[Compiled, dict[str, list[Deeds]]] | None = None

    async def view(self) -> Told:
        """`{inventory, inbox, matchers, rules, reach}`. The inventory holds every field that is red or yellow or was decided about.

        `reach`: by source the destinations that are on and listen to it.
        """
        compiled = self._current.compiled
        workspace = compiled.workspace
        await self._fieldbook.digest()
        inventory = [row for source in workspace.sources async for row in self._rows(compiled, source)]
        inventory.sort(key=lambda one: (-RANK[one["color"]], one["source"], one["path"]))
        since_s = self._clock.now() - INBOX_S
        own = {normal(matcher.name) for matcher in workspace.matchers}
        return {
            "inventory": inventory,
            "inbox": [one for one in inventory if not one["decided"] and one["last_s"] >= since_s],
            "matchers": [_matcher(one, "file" if normal(one.name) in own else "standard") for one in with_standard(workspace.matchers)],
            "rules": _rules(workspace),
            "reach": {
                one.slug: [to.slug for to in workspace.destinations if to.enabled and one.source_id in to.source_ids] for one in workspace.sources
            },
        }

    async def _rows(self, compiled: Compiled, source: Source) -> AsyncIterator[Told]:
        """The fields of one source that are sensitive, or were decided about."""
        rest = self._fieldbook.rest(source.source_id)
        fields: dict[str, _Field] = {}
        for number, seen in enumerate([*self._fieldbook.events(source.source_id), *([rest] if rest else [])], 1):
            _gather(fields, seen)
            if number % SLICE_EVENTS == 0:
                await asyncio.sleep(0)
        for number, (path, found) in enumerate(fields.items(), 1):
            color, matcher, masked = self._colors.shown(source.source_id, path, found.known)
            decided = self._colors.decided(source.source_id, path)
            if masked or decided:
                yield {
                    "source": source.slug,
                    "event": found.event,
                    "path": path,
                    "color": color,
                    "matcher": matcher,
                    "decided": decided,
                    "first_s": found.known.first_ms / 1000,
                    "last_s": found.known.last_ms / 1000,
                    "count": found.known.count,
                    "masked": masked,
                    "sample": None if masked else found.known.sample,
                    "done": self._done(compiled, source.source_id, path, found.known),
                }
            if number % SLICE_FIELDS == 0:
                await asyncio.sleep(0)

    async def decide(self, slug: str, path: str, color: str, by: Operator) -> Told:
        """Say what a field is; empty: nothing is decided about it. Raises RequestError 404, 400."""
        if color not in ("", *COLORS):
            raise RequestError(400, "bad_request", f"color must be one of {', '.join(COLORS)}, or empty.")
        keys = split_path(path)
        if len(keys) < 2 or keys[0] not in SECTIONS or not all(keys) or len(path) > NAME_MAX:
            raise RequestError(400, "bad_request", "path must lead to a field in context, traits or properties, as in traits.email.")

        def edit(stored: Stored, workspace: Workspace) -> Stored:
            find_source(workspace, slug)
            changed = stored.with_color(slug, path, color)
            if len(changed.colors.get(slug, {})) > DECISIONS_MAX:
                raise RequestError(400, "bad_request", f"A source has at most {DECISIONS_MAX} decided fields.")
            return changed

        saved = await self._publisher.change(edit, by)
        if RANK[color]:
            self._fieldbook.stain(find_source(saved, slug).source_id, path, color)
        await self._access.audit(AuditRecord(self._clock.now(), by.name, "privacy.field", slug, f"{path}: {color or 'undecided'}"))
        return await self.view()

    def _done(self, compiled: Compiled, source_id: str, path: str, known: SeenField) -> list[Told]:
        if self._deeds is None or self._deeds[0] is not compiled:
            self._deeds = compiled, _deeds(compiled)
        found = ((deeds.at, deeds.of(path, known)) for deeds in self._deeds[1].get(source_id, ()))
        return [{"at": at, "how": how} for at, how in found if how]


class Deeds:
    """What the privacy rules of one source or destination do to fields."""

    def __init__(self, at: str, rules: PrivacyRules) -> None:
        self.at = at
        self._lists = [(how, _Meant(matchers)) for how in HOWS if (matchers := getattr(rules, how))]

    def of(self, path: str, known: SeenField) -> str:
        """`block`, `encrypt`, `hash` or `mask`; empty: nothing."""
        return next((how for how, meant in self._lists if meant.covers(path, known)), "")


class _Meant:
    """The fields that a list of matchers means."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._paths = tuple(path for one in matchers if one.path for path in _twins(one.path))
        self._names = frozenset(one.name for one in matchers if not one.path)
        self._judges: tuple[Callable[[str, Any], Matcher | None], ...] = (classifier(matchers), classifier(matchers, in_thing=True))

    def covers(self, path: str, known: SeenField) -> bool:
        if known.matcher in self._names or any(path == one or path.startswith(f"{one}.") for one in self._paths):
            return True
        in_thing = False
        for key in split_path(path)[1:]:
            if self._judges[in_thing](key, None):
                return True
            in_thing = in_thing or key in THINGS
        return False


def _twins(path: str) -> tuple[str, ...]:
    """A path below traits means those that other calls carry in their context as well."""
    return (path, f"context.{path}") if path.startswith("traits.") else (path,)


def _deeds(compiled: Compiled) -> dict[str, list[Deeds]]:
    """By source id: its own rules, then those of the destinations that listen to it."""
    found: dict[str, list[Deeds]] = {}
    for source in compiled.workspace.sources:
        found[source.source_id] = [Deeds(f"source:{source.slug}", source.privacy)] if source.privacy else []
    for destination in compiled.workspace.destinations:
        if destination.privacy:
            deeds = Deeds(f"destination:{destination.slug}", destination.privacy)
            for source_id in destination.source_ids:
                found.setdefault(source_id, []).append(deeds)
    return found


def _gather(fields: dict[str, _Field], seen: SeenEvent) -> None:
    """Add the fields of one name to those of the names before it."""
    name = seen.name or seen.type
    for path, known in seen.fields.items():
        found = fields.get(path)
        if found is None:
            fields[path] = _Field(name, _copy(known), known.count)
            continue
        whole = found.known
        whole.color, whole.matcher = worst((whole.color, whole.matcher), (known.color, known.matcher))
        whole.count += known.count
        whole.first_ms, whole.last_ms = min(whole.first_ms, known.first_ms), max(whole.last_ms, known.last_ms)
        if known.count > found.most:
            found.event, found.most = name, known.count


def _copy(known: SeenField) -> SeenField:
    return SeenField(known.first_ms, known.last_ms, known.count, {}, known.color, known.matcher, known.sample)


def _matcher(matcher: Matcher, origin: str) -> Mapping[str, Any]:
    return {
        "name": matcher.name,
        "color": matcher.color,
        "keys": list(matcher.keys),
        "similar": matcher.similar,
        "pattern": matcher.pattern,
        "origin": origin,
    }


def _rules(workspace: Workspace) -> list[Told]:
    places = [(f"source:{one.slug}", one.privacy) for one in workspace.sources]
    places += [(f"destination:{one.slug}", one.privacy) for one in workspace.destinations]
    return [{"at": at, "how": how, "entry": entry, "place": place_row(rules.place)} for at, rules in places for how, entry in rules.entries]
