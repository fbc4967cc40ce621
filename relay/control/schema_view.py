"""What a source sends, and which of it is let through: seen events and traits, with the switches of the file and of the UI."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.base.clock import Clock
from relay.control.colors import Colors
from relay.control.fieldbook import Fieldbook
from relay.control.operate import Audit
from relay.control.publish import Publisher
from relay.control.seen import SeenEvent, SeenField
from relay.errors import RequestError
from relay.pipeline.compiled import CompiledDestination, Current
from relay.pipeline.stages.integrations import wants
from relay.workspace.model import Source, Workspace
from relay.workspace.rules import EventSetting
from relay.workspace.stored import EVENTS, TRAITS, Stored, Switches

SWITCHES_MAX: Final = 4_000
NAME_MAX: Final = 200
TRACK: Final = "track"
SLICE: Final = 50
"""Events told between two breaths of the loop."""
Told = dict[str, Any]


class SourceSchema:
    """Tells and changes. An order leaves an audit row."""

    def __init__(self, *, fieldbook: Fieldbook, colors: Colors, current: Current, publisher: Publisher, access: Audit, clock: Clock) -> None:
        self._fieldbook = fieldbook
        self._colors = colors
        self._current = current
        self._publisher = publisher
        self._access = access
        self._clock = clock

    async def view(self, slug: str) -> Told:
        """`{events, traits, truncated}`, the most frequent first. Raises RequestError 404."""
        source = find_source(self._current.compiled.workspace, slug)
        await self._fieldbook.digest()
        seen = sorted(self._fieldbook.events(source.source_id), key=lambda one: (-one.count, one.type, one.name))
        rest = self._fieldbook.rest(source.source_id)
        met = {one.name for one in seen if one.type == TRACK}
        unseen = [SeenEvent(source.source_id, TRACK, name, 0) for name in sorted(source.schema.events.keys() - met)]
        sight, events = self._sight(source), []
        for number, one in enumerate((*seen, *unseen), 1):
            events.append(self._event(one, sight))
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return {
            "events": events,
            "traits": [
                {"name": name, "state": "allowed" if allowed else "blocked", **_owner(source, TRAITS, name)}
                for name, allowed in sorted(source.schema.traits.items())
            ],
            "truncated": rest.count if rest else 0,
        }

    async def change(self, slug: str, events: Mapping[str, Told], traits: Mapping[str, bool], by: Operator) -> Told:
        """Switch events and traits on and off. Raises RequestError 404, 400, and 409 where a file decides."""

        def edit(stored: Stored, workspace: Workspace) -> Stored:
            source, part = find_source(workspace, slug), stored.switches.get(slug, Switches())
            _refuse_owned(source, events, traits)
            slugs = frozenset(one.slug for one in workspace.destinations)
            changed = {name: _merged(part.events.get(name, EventSetting()), given, slugs) for name, given in events.items()}
            kept = {name: one for name, one in {**part.events, **changed}.items() if one != EventSetting()}
            left_out = {name: allowed for name, allowed in {**part.traits, **traits}.items() if not allowed}
            if len(kept) > SWITCHES_MAX or len(left_out) > SWITCHES_MAX:
                raise RequestError(400, "bad_request", f"A source has at most {SWITCHES_MAX} switched events and traits.")
            return stored.with_switches(slug, Switches(kept, left_out))

        saved = await self._publisher.change(edit, by)
        named = ", ".join([*events, *(f"trait {name}" for name in traits)])
        await self._access.audit(AuditRecord(self._clock.now(), by.name, "source.schema", slug, f"workspace {saved.version}: {named}"[:500]))
        return await self.view(slug)

    def _sight(self, source: Source) -> "_Sight":
        compiled = self._current.compiled
        plan = next((plan for plan in compiled.workspace.plans if plan.slug == source.plan), None)
        heard = tuple(one for one in compiled.destinations.values() if source.source_id in one.source_ids)
        return _Sight(source, heard, frozenset((rule.type.lower(), rule.key) for rule in plan.rules) if plan else None)

    def _event(self, seen: SeenEvent, sight: "_Sight") -> Told:
        source, is_track = sight.source, seen.type == TRACK
        known = source.schema.events.get(seen.name) if is_track else None
        setting = known or EventSetting()
        return {
            "type": seen.type,
            "name": seen.name,
            "count": seen.count,
            "allowed": seen.count - seen.blocked,
            "blocked": seen.blocked,
            "first_s": seen.first_ms / 1000 or None,
            "last_s": seen.last_ms / 1000 or None,
            "state": "allowed" if setting.enabled else "blocked",
            **(_owner(source, EVENTS, seen.name) if known else {"owner": "", "place": None}),
            "destinations": {one.destination.slug: wants(setting.integrations, one.names) for one in sight.heard},
            "planned": None if sight.planned is None else (seen.type, seen.name if is_track else "") in sight.planned,
            "sampled": seen.walked,
            "truncated": seen.omitted,
            "properties": [
                {"path": path, "types": known.types, "count": known.count, "first_s": known.first_ms / 1000, "last_s": known.last_ms / 1000}
                | self._colored(source.source_id, path, known)
                for path, known in sorted(seen.fields.items(), key=lambda item: (-item[1].count, item[0]))
            ],
        }

    def _colored(self, source_id: str, path: str, known: SeenField) -> Told:
        color, _, masked = self._colors.shown(source_id, path, known)
        return {"color": color, "sample": None if masked else known.sample}


@dataclass(frozen=True, slots=True)
class _Sight:
    """What all events of a source are seen against."""

    source: Source
    heard: tuple[CompiledDestination, ...]
    """The destinations that listen."""
    planned: frozenset[tuple[str, str]] | None
    """(type, event name of a track) of the plan's rules; None: there is no plan."""


def find_source(workspace: Workspace, slug: str) -> Source:
    """Raises RequestError 404 when no source has the slug."""
    for source in workspace.sources:
        if source.slug == slug:
            return source
    raise RequestError(404, "not_found", f'There is no source "{slug}".')


def read_switches(given: Mapping[str, Any]) -> tuple[dict[str, Told], dict[str, bool]]:
    """The body `{events, traits}` of a request. Raises RequestError 400."""
    events, traits = given.get("events", {}), given.get("traits", {})
    _check(isinstance(events, dict) and all(isinstance(one, dict) for one in events.values()), "events must be an object of objects")
    _check(isinstance(traits, dict) and all(isinstance(one, bool) for one in traits.values()), "traits must be an object of true and false")
    _check(all(0 < len(name) <= NAME_MAX for name in (*events, *traits)), f"a name has 1 to {NAME_MAX} characters")
    for name, one in events.items():
        _check(not one.keys() - {"enabled", "integrations"}, f"events.{name} may hold enabled and integrations")
        _check(isinstance(one.get("enabled", True), bool), f"events.{name}.enabled must be true or false")
        switches = one.get("integrations", {})
        _check(
            isinstance(switches, dict) and all(isinstance(on, bool) for on in switches.values()),
            f"events.{name}.integrations must be an object of destinations and true or false",
        )
    return events, traits


def _check(holds: bool, wanted: str) -> None:
    if not holds:
        raise RequestError(400, "bad_request", f"{wanted}.")


def _owner(source: Source, kind: str, name: str) -> Told:
    place = source.schema_places.get((kind, name))
    return {"owner": "file", "place": {"file": place.file, "line": place.line}} if place else {"owner": "ui", "place": None}


def _refuse_owned(source: Source, events: Mapping[str, Told], traits: Mapping[str, bool]) -> None:
    for kind, names in ((EVENTS, events), (TRAITS, traits)):
        for name in names:
            if place := source.schema_places.get((kind, name)):
                message = f"{kind[:-1].capitalize()} '{name}' is switched at {place}; change it there."
                raise RequestError(409, "file_owned", message, place=place)


def _merged(setting: EventSetting, given: Told, destinations: frozenset[str]) -> EventSetting:
    """The setting with what is given; a destination that is let in again needs no entry."""
    if unknown := sorted(given.get("integrations", {}).keys() - destinations):
        raise RequestError(400, "bad_request", f'There is no destination "{unknown[0]}".')
    integrations = {**setting.integrations, **given.get("integrations", {})}
    return EventSetting(given.get("enabled", setting.enabled), {slug: on for slug, on in integrations.items() if not on})
