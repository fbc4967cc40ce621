"""A destination as data: settings, actions with their fields, presets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from relay.base.event import TYPES, Event
from relay.base.ids import delivery_key
from relay.errors import DeliveryError, Problem
from relay.kit.js import ABSENT
from relay.kit.request import Request, Response
from relay.kit.sink import OpenArchive, OpenEraser, OpenSink
from relay.kit.steps import Steps


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a destination. `name` is Segment's key (camelCase); files may write it in snake_case."""

    name: str
    label: str
    type: str = "string"
    """`string`, `number`, `integer`, `boolean`, `list` (of strings), `object`."""
    required: bool = False
    secret: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What another field must be; `field` is its name, or `object.property`."""

    field: str
    value: Any = ABSENT
    """Left out: the other field has no value."""
    is_not: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """When a field is required: all (or any) of the conditions hold for what the mapping gave, before types are coerced."""

    conditions: tuple[Condition, ...]
    match: str = "all"
    """`all` or `any`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an action, filled by a mapping. Types and formats as in Segment's action fields."""

    name: str
    label: str
    type: str = "string"
    """`string text number integer datetime boolean password object`."""
    required: bool | When = False
    multiple: bool = False
    allow_null: bool = False
    choices: tuple[str | int, ...] = ()
    format: str = ""
    default: Any = None
    """A value or a mapping directive; used when the mapping leaves the field out."""
    properties: tuple["Field", ...] = ()
    """Of an `object`: the keys that it may hold; none declared: any."""
    help: str = ""
    minimum: float | None = None
    """Of a `number`: its least value; of a `string`: its least length. Not looked at in lists, nor when 0, as in Segment."""
    maximum: float | None = None
    additional_properties: bool = False
    """Keeps keys that `properties` does not declare."""


class Delivery(NamedTuple):
    """What an action is asked to send: one unit's fields, and what it may know of the event."""

    fields: Mapping[str, Any]
    """Mapped and coerced. A field that is the whole event is `event.payload` itself (the same object)."""
    event: Event
    sent_s: float
    """Unix time of this attempt."""

    @property
    def key(self) -> str:
        """The idempotency key (`msg_...`), the same on every attempt and replay. Made when asked for: it costs as much as a mapping."""
        return delivery_key(self.event.source_id, self.event.message_id)


Performed = Request | Steps[None]

ReadAnswer = Callable[[Sequence[Delivery], Response], Sequence[DeliveryError | None] | None]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a destination can do with an event. `perform` is pure: it returns a request, or yields several.

    `perform` may raise PayloadError, Permanent, Retryable or Misconfigured; anything else is a bug (code `bug`).
    """

    slug: str
    title: str
    description: str = ""
    fields: tuple[Field, ...] = ()
    default_trigger: str = ""
    perform: Callable[[Mapping[str, Any], Delivery], Performed] | None = None
    """None for the one action of a sink."""
    perform_batch: Callable[[Mapping[str, Any], Sequence[Delivery]], Performed] | None = None
    read_answer: ReadAnswer | None = None
    """What the last answer, whatever its status, says of each delivery: an error or None (delivered) for each. None as a whole: the status
    decides for all of them. For APIs that answer 200 to what they refuse, and for batches that fail in part. May raise as `perform` may."""
    is_repeatable: bool = True
    """False: the API cannot tell a repetition and a second call does harm (a text message), so an attempt that may have arrived without an
    answer (no answer in time, connection broken) ends dead with the code `unsure`; a person decides whether to re-send."""
    batch_size: int = 1
    """Most events in one request; a setting or the field `batch_size` may lower it. 1: no batching."""
    batch_bytes: int = 450_000
    """Most bytes of event bodies in one request."""
    linger_ms: int = 20
    """How long a batch that is not full waits for more."""
    batch_keys: tuple[str, ...] = ()
    """Fields whose values must be equal within a batch."""
    batch_always: bool = False
    """True: batches without being asked; False: only when the mapping's field `enable_batching` is true."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A ready-made subscription; the automatic ones are used when a destination has no mapping."""

    name: str
    action: str
    trigger: str
    mapping: Mapping[str, Any] = field(default_factory=dict)
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class Definition:
    """The code side of a destination, as data."""

    slug: str
    name: str
    """Segment's display name, as it stands in an event's `integrations`."""
    description: str = ""
    mode: str = "cloud"
    """`cloud` (HTTP actions) or `storage` (a sink)."""
    methods: frozenset[str] = frozenset(TYPES)
    """Calls that it can take; others are filtered as UNSUPPORTED_EVENT_TYPE."""
    settings: tuple[Setting, ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    presets: tuple[Preset, ...] = ()
    check: Callable[[Mapping[str, Any]], Sequence[Problem]] | None = None
    """Mistakes in resolved settings that types cannot show (a URL with a user name, a secret of the wrong form)."""
    test: Callable[[Mapping[str, Any]], Request | None] | None = None
    """The harmless call of `relay check`, where the API has one; None as its result: these settings give nothing to ask."""
    read_test: ReadAnswer | None = None
    """For an API whose status does not tell that the settings are wrong: an action's `read_answer`, asked without deliveries about the answer
    to `test`. Only Misconfigured counts, since a harmless call may well be refused."""
    open_sink: OpenSink | None = None
    open_archive: OpenArchive | None = None
    """How to read back what the sink stored, where that can be done: for replays, and for deletion requests."""
    open_eraser: OpenEraser | None = None
    """How to delete a user from what the sink wrote, where it is no archive."""
    on_delete: Callable[[Mapping[str, Any], str], Performed] | None = None
    """The call that deletes a user (by user id) at the receiver. Pure, as an action's `perform`; safe to repeat. None: its API has none."""
    adapt: Callable[[Action, Mapping[str, Any]], Action] | None = None
    """The action under these settings: a sink whose batches are as large, or wait as long, as the settings say."""
    has_tables: bool = False
    """A warehouse: it keeps events as rows of Segment's tables, and takes `[destination.sync]`."""

    @property
    def keeps_all(self) -> bool:
        """A warehouse or an archive: what it holds is read again later, so that filters would make holes in it (semantics page 4)."""
        return self.has_tables or self.open_archive is not None


Catalog = Mapping[str, Definition]
"""Definitions by slug."""
