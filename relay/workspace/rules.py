"""What a workspace says about events: plans, schema settings, filters, transformations, privacy. Frozen values in Segment's shape and words.

Readers (`workspace.filters`, `workspace.plans`, `workspace.privacy`) make them and refuse what is wrong; the stages of `pipeline` compile them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.base.secret import Secret
from relay.errors import Place
from relay.kit.matchers import Matcher as Matcher

NO_KEY: Final = Secret("")


@dataclass(frozen=True, slots=True)
class FilterAction:
    """What a filter does with an event that its condition holds for."""

    type: str
    """`SAMPLE`, `DROP`, `DROP_PROPERTIES`, `ALLOW_PROPERTIES`."""
    percent: float = 1.0
    """Of SAMPLE: the share that is kept, 0 to 1."""
    path: str = ""
    """Of SAMPLE: the field whose value decides; empty: drawn per event."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the two about properties: path of an object ("" is the event) to keys in it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A destination filter (semantics page 4)."""

    condition: str
    """FQL, `if` in files."""
    actions: tuple[FilterAction, ...]
    title: str = ""
    enabled: bool = True
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Hashing:
    """Of a transformation: values that are replaced by their digest."""

    algorithm: str
    """`MD5`, `SHA1`, `SHA224`, `SHA256`, `SHA384`, `SHA512`."""
    paths: tuple[str, ...]
    encoding: str = "HEX"
    """`HEX` (lower case), or `BASE16`, `BASE64`, `BASE64URL` as in RFC 4648."""
    key: Secret = NO_KEY
    """Not empty: HMAC."""


@dataclass(frozen=True, slots=True)
class Transformation:
    """Changes to the events of one source, or on their way to one destination (semantics page 5). Paths are full and dotted."""

    condition: str
    """FQL, `if` in files."""
    name: str = ""
    enabled: bool = True
    drop: bool = False
    new_event_name: str = ""
    renames: tuple[tuple[str, str], ...] = ()
    """(old path, new path)."""
    values: tuple[tuple[str, Any], ...] = ()
    """(path, value)."""
    formulas: tuple[tuple[str, str], ...] = ()
    """(path, FQL of its value)."""
    allow: tuple[str, ...] | None = None
    """Paths below properties and traits that stay; None: all."""
    hashing: Hashing | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """What happens to sensitive fields, by source (before anything is stored) or by destination (before it is sent)."""

    block: tuple[Matcher, ...] = ()
    mask: tuple[Matcher, ...] = ()
    hash: tuple[Matcher, ...] = ()
    encrypt: tuple[Matcher, ...] = ()
    public_key: str = ""
    """PEM; what `encrypt` needs."""
    entries: tuple[tuple[str, str], ...] = ()
    """(`block`, `mask`, `hash` or `encrypt`; entry) as configured; the matchers above are what they mean."""
    place: Place | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return bool(self.block or self.mask or self.hash or self.encrypt)


@dataclass(frozen=True, slots=True)
class TypeSettings:
    """Schema settings of one type of call; True is Segment's default (semantics page 2.5)."""

    allow_unplanned_events: bool = True
    """Of track only."""
    allow_unplanned_properties: bool = True
    """`allowUnplannedEventProperties` of track, `allowUnplannedTraits` of the others."""
    allow_event_on_violations: bool = True
    """Of track only."""
    allow_properties_on_violations: bool = True
    """`allowPropertiesOnViolations` of track, `allowTraitsOnViolations` of the others."""
    common_on_violations: str = "ALLOW"
    """`ALLOW`, `BLOCK`, `OMIT`."""


@dataclass(frozen=True, slots=True)
class EventSetting:
    """What a source says about one event name: blocked for all, or for some destinations."""

    enabled: bool = True
    integrations: Mapping[str, bool] = field(default_factory=dict)
    """Destination slug to whether it gets the event; one that is not listed does."""


@dataclass(frozen=True, slots=True)
class SchemaSettings:
    """How strict a source is."""

    track: TypeSettings = TypeSettings()
    identify: TypeSettings = TypeSettings()
    group: TypeSettings = TypeSettings()
    violations_to: str = ""
    """Id of the source that hears of each violation; empty: none."""
    blocked_to: str = ""
    """Id of the source that gets what is blocked; empty: none."""
    events: Mapping[str, EventSetting] = field(default_factory=dict)
    """By event name of a track call."""
    traits: Mapping[str, bool] = field(default_factory=dict)
    """Trait of identify to whether it is let through."""
    group_traits: Mapping[str, bool] = field(default_factory=dict)
    enforce_destinations: bool = False
    """A rule's `x-destinations` are the only destinations that get its event."""


@dataclass(frozen=True, slots=True)
class PlanRule:
    """One rule of a tracking plan."""

    type: str
    """`TRACK`, `IDENTIFY`, `GROUP`, `PAGE`, `SCREEN`, `COMMON`."""
    schema: Mapping[str, Any]
    """JSON Schema, draft 7, over the whole message; may hold `x-why`, `x-owner`, `x-destinations`."""
    key: str = ""
    """Event name, of TRACK only."""
    version: float = 1

    @property
    def label(self) -> str:
        """How people name it: `TRACK "Order Completed"`, `IDENTIFY`, `TRACK "Signed Up" version 2`."""
        return self.type + (f' "{self.key}"' if self.key else "") + (f" version {self.version:g}" if self.version != 1 else "")

    @property
    def why(self) -> str:
        """Which question it answers (`x-why`)."""
        return str(self.schema.get("x-why", ""))

    @property
    def owners(self) -> tuple[str, ...]:
        """Who is told when events break it (`x-owner`)."""
        return _texts(self.schema.get("x-owner", ()))

    @property
    def destinations(self) -> tuple[str, ...]:
        """Slugs of the destinations that need its events (`x-destinations`); empty: nothing is said."""
        return _texts(self.schema.get("x-destinations", ()))

    @property
    def ignored(self) -> tuple[str, ...]:
        """Paths of fields whose violations nobody wants to hear of (`x-ignore`); blocked and omitted they are all the same."""
        return _texts(self.schema.get("x-ignore", ()))

    def ignores(self, field: str) -> bool:
        """Whether violations of a field are among them; `$` in an ignored path means every item of a list."""
        return field in self.ignored or of_any_item(field) in self.ignored


_INDEX: Final = re.compile(r"\.\d+(?=\.|$)")


def of_any_item(field: str) -> str:
    """The path of a violation with `$` in the place of the indices of lists."""
    return _INDEX.sub(".$", field)


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True, slots=True)
class Plan:
    """A tracking plan. A file-owned plan's id is its slug."""

    slug: str
    name: str
    rules: tuple[PlanRule, ...]
    file: str = ""
    """Where it was read from."""
    place: Place | None = field(default=None, compare=False)
