"""The small part of a workspace that the UI owns: events and traits that are switched off, and which colours fields were decided to have.

One document per workspace version, beside it in the database. When a workspace is assembled it is laid over the files; what a file says about
an event or a trait wins, and can be changed in that file only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from relay.base import jsonio
from relay.config.tree import Tree, child
from relay.errors import Place, Problem
from relay.workspace.model import Source
from relay.workspace.rules import EventSetting, Matcher, PrivacyRules, SchemaSettings

COLORS: Final = ("red", "yellow", "green")
EVENTS: Final = "events"
TRAITS: Final = "traits"
HOWS: Final = ("block", "mask", "hash", "encrypt")


@dataclass(frozen=True, slots=True)
class Switches:
    """What the UI says about one source."""

    events: Mapping[str, EventSetting] = field(default_factory=dict)
    """By event name; an entry that changes nothing is not kept."""
    traits: Mapping[str, bool] = field(default_factory=dict)
    """Trait of identify to False: it is left out."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The document, by slug of the source. A source that is gone keeps its part: it may come back."""

    switches: Mapping[str, Switches] = field(default_factory=dict)
    colors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Path of a field to `red`, `yellow` or `green`."""

    def text(self) -> str:
        """As JSON."""
        switches = {
            slug: {
                EVENTS: {name: {"enabled": one.enabled, "integrations": dict(one.integrations)} for name, one in part.events.items()},
                TRAITS: dict(part.traits),
            }
            for slug, part in self.switches.items()
        }
        return jsonio.dumps({"sources": switches, "fields": {slug: dict(paths) for slug, paths in self.colors.items()}}).decode()

    @staticmethod
    def of(text: str) -> "Stored":
        """The document that `text` gave."""
        content: Mapping[str, Any] = jsonio.loads(text)
        switches = {
            slug: Switches(
                {name: EventSetting(one["enabled"], one["integrations"]) for name, one in part[EVENTS].items()},
                part[TRAITS],
            )
            for slug, part in content.get("sources", {}).items()
        }
        return Stored(switches, content.get("fields", {}))

    def with_switches(self, slug: str, switches: Switches) -> "Stored":
        """A copy in which one source has these."""
        rest = {name: part for name, part in self.switches.items() if name != slug}
        return replace(self, switches=rest | {slug: switches} if switches.events or switches.traits else rest)

    def with_color(self, slug: str, path: str, color: str) -> "Stored":
        """A copy in which a field has this colour; empty: nothing is decided about it."""
        paths = {at: known for at, known in self.colors.get(slug, {}).items() if at != path} | ({path: color} if color else {})
        rest = {name: known for name, known in self.colors.items() if name != slug}
        return replace(self, colors=rest | {slug: paths} if paths else rest)


NOTHING: Final = Stored()


def lay_over(source: Source, path: str, stored: Stored, destinations: Sequence[str], tree: Tree, warnings: list[Problem]) -> Source:
    """`source`, which stands at `path` of the tree, with the switches of the UI and the places of its own; `destinations`: slugs there are."""
    source = replace(source, privacy=obey(source.privacy, stored.colors.get(source.slug, {})))
    places = _places(tree, child(path, "schema"), source.schema)
    switches = stored.switches.get(source.slug, Switches())
    given = {(EVENTS, name) for name in switches.events} | {(TRAITS, name) for name in switches.traits}
    for kind, name in sorted(given & places.keys()):
        what = f"{kind[:-1]} '{name}'"
        message = f'source "{source.slug}": {what} is switched in this file and in the UI; the file decides'
        warnings.append(Problem(message, places[kind, name], "remove it here to let the UI decide"))
    events = {name: _known(one, destinations) for name, one in switches.events.items() if (EVENTS, name) not in places}
    traits = {name: allowed for name, allowed in switches.traits.items() if (TRAITS, name) not in places}
    if not events and not traits:
        return replace(source, schema_places=places) if places else source
    schema = replace(source.schema, events={**source.schema.events, **events}, traits={**source.schema.traits, **traits})
    return replace(source, schema=schema, schema_places=places)


def obey(rules: PrivacyRules, colors: Mapping[str, str]) -> PrivacyRules:
    """`rules` with the fields that were decided to have a colour which a rule names as a whole (`block = ["red"]`)."""
    more: dict[str, Any] = {}
    for how in HOWS:
        named = {entry.lower() for kind, entry in rules.entries if kind == how}
        if found := tuple(Matcher(path, color, path=path) for path, color in sorted(colors.items()) if color in named):
            more[how] = (*getattr(rules, how), *found)
    return replace(rules, **more) if more else rules


def merged(colors: Mapping[str, Mapping[str, str]], source_ids: Sequence[str]) -> dict[str, str]:
    """The decisions about several sources together; where they differ, the stricter."""
    found: dict[str, str] = {}
    for source_id in source_ids:
        for path, color in colors.get(source_id, {}).items():
            found[path] = min(found.get(path, color), color, key=COLORS.index)
    return found


def _places(tree: Tree, path: str, schema: SchemaSettings) -> dict[tuple[str, str], Place]:
    """Where a file says something about an event or a trait."""
    named = ((EVENTS, schema.events), (TRAITS, schema.traits))
    return {(kind, name): tree.place(child(child(path, kind), name)) for kind, names in named for name in names}


def _known(setting: EventSetting, destinations: Sequence[str]) -> EventSetting:
    """Without destinations that were removed meanwhile."""
    return replace(setting, integrations={slug: on for slug, on in setting.integrations.items() if slug in destinations})
