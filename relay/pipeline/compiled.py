"""One workspace version, compiled: closures built once, read by every event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from relay.base import jsonio
from relay.base.event import Event
from relay.errors import ConfigError, PayloadError, Problem
from relay.kit.coerce import compile_fields
from relay.kit.definition import Action, Catalog, Definition
from relay.kit.fql import compile_trigger
from relay.kit.mapping import compile_mapping, constants_of
from relay.pipeline.browser import browser_plan
from relay.pipeline.decision import Rewrite
from relay.pipeline.derived import Forwarding, Target
from relay.pipeline.rulebook import RuleBook
from relay.pipeline.stages.filters import compile_filters
from relay.pipeline.stages.inspect import Inspect, compile_inspection
from relay.pipeline.stages.protect import compile_protection
from relay.pipeline.stages.redact import Redact, compile_cover, compile_redaction
from relay.pipeline.stages.selection import compile_selection
from relay.pipeline.stages.transform import compile_transformations
from relay.workspace.model import BUILT_IN_SOURCE, Destination, Source, Subscription, Workspace
from relay.workspace.rules import SchemaSettings
from relay.workspace.suppressions import NOBODY

ALONE: Final = ("", 1)
ANY_BATCH: Final = "1"
"""The batch key where the action asks for no equal fields."""


@dataclass(frozen=True, slots=True)
class CompiledSubscription:
    """A subscription whose trigger and mapping are closures."""

    subscription: Subscription
    action: Action
    trigger: Callable[[Event], bool]
    mapper: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Payload to fields, coerced and validated; raises PayloadError."""
    batch: tuple[str, int] | None = None
    """Batch key and the most events of a request, when they are the same for every event."""


@dataclass(frozen=True, slots=True)
class CompiledDestination:
    """A destination ready to decide. `names`: how an event's `integrations` may name it, most specific first."""

    destination: Destination
    definition: Definition
    subscriptions: tuple[CompiledSubscription, ...]
    source_ids: frozenset[str]
    names: tuple[str, ...]
    version: int
    before_trigger: tuple[tuple[str, Rewrite], ...] = ()
    """Stage name and step: filters, transformations."""
    before_mapping: tuple[tuple[str, Rewrite], ...] = ()
    """Stage name and step: warehouse selection, privacy."""
    schemas: Mapping[str, SchemaSettings] = field(default_factory=dict)
    """By source id: of those that say something about single event names."""
    books: Mapping[str, RuleBook] = field(default_factory=dict)
    """By source id: plans whose `x-destinations` are enforced."""


@dataclass(frozen=True, slots=True)
class CompiledSource:
    """A source ready to take events. A step that is None has nothing to do."""

    source: Source
    redact: Redact | None = None
    """Before the commit, on the normalised message."""
    cover: Callable[[Any], Any] | None = None
    """For what is kept of a refused message."""
    transform: Rewrite | None = None
    inspect: Inspect | None = None
    browser_plan: Mapping[str, Any] = field(default_factory=dict)
    """What Analytics.js is told about single events."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Everything that routing needs to know of one workspace version."""

    version: int
    workspace: Workspace
    catalog: Catalog
    sources: Mapping[str, CompiledSource]
    """By id; the built-in source `relay` is among them, but not in `workspace.sources`."""
    sources_by_key: Mapping[str, CompiledSource]
    destinations: Mapping[str, CompiledDestination]
    books: Mapping[str, RuleBook] = field(default_factory=dict)
    """The plans, by slug."""


class Current:
    """The workspace version in use, and who is suppressed; written by control alone."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.suppressions = NOBODY


def compile_workspace(workspace: Workspace, catalog: Catalog) -> Compiled:
    """Compile every trigger and mapping; raises ConfigError with all mistakes, each with its destination's place."""
    problems: list[Problem] = []
    destinations = {}
    schemas = {source.source_id: source.schema for source in workspace.sources if source.schema.events}
    books = {plan.slug: RuleBook(plan) for plan in workspace.plans}
    enforced = {
        source.source_id: books[source.plan]
        for source in workspace.sources
        if source.schema.enforce_destinations and source.plan in books and books[source.plan].restricts
    }
    for destination in workspace.destinations:
        definition = catalog[destination.type]
        subscriptions = []
        for subscription in destination.subscriptions:
            if not subscription.enabled:
                continue
            try:
                action = definition.actions[subscription.action]
                if definition.adapt is not None:
                    action = definition.adapt(action, destination.settings)
                subscriptions.append(_compile_subscription(subscription, action))
            except ConfigError as error:
                problems += [
                    Problem(f'destination "{destination.slug}": mapping "{subscription.name}": {problem.message}', destination.place, problem.remedy)
                    for problem in error.problems
                ]
        destinations[destination.destination_id] = CompiledDestination(
            destination=destination,
            definition=definition,
            subscriptions=tuple(subscriptions),
            source_ids=frozenset(destination.source_ids),
            names=tuple(dict.fromkeys((destination.slug, destination.name, definition.name))),
            version=workspace.version,
            before_trigger=_steps(
                filters=compile_filters(destination.filters, destination.slug),
                transform=compile_transformations(destination.transformations),
            ),
            before_mapping=_steps(
                sync=compile_selection(destination.sync_exclude),
                privacy=compile_protection(destination.privacy),
            ),
            schemas={name: schemas[name] for name in destination.source_ids if name in schemas},
            books={name: enforced[name] for name in destination.source_ids if name in enforced},
        )
    if problems:
        raise ConfigError(problems)
    own = Source(BUILT_IN_SOURCE, BUILT_IN_SOURCE, "relay", ())
    redactions = {source.source_id: compile_redaction(source.privacy) for source in (*workspace.sources, own)}
    sources = {source.source_id: _compile_source(source, workspace, books, redactions) for source in (*workspace.sources, own)}
    by_key = {key: sources[source.source_id] for source in workspace.sources for key in source.write_keys}
    return Compiled(workspace.version, workspace, catalog, sources, by_key, destinations, books)


def _compile_source(source: Source, workspace: Workspace, books: Mapping[str, RuleBook], redactions: Mapping[str, Redact | None]) -> CompiledSource:
    book = books.get(source.plan)

    def target(source_id: str) -> Target | None:
        return Target(source_id, redactions[source_id]) if source_id in redactions else None

    forwarding = Forwarding(
        source,
        book.plan if book is not None else None,
        target(source.schema.violations_to),
        target(source.schema.blocked_to),
        frozenset(one.source_id for one in workspace.sources if source.source_id in (one.schema.violations_to, one.schema.blocked_to)),
    )
    return CompiledSource(
        source,
        redact=redactions[source.source_id],
        cover=compile_cover(source.privacy),
        transform=compile_transformations(source.transformations),
        inspect=compile_inspection(source, book, forwarding),
        browser_plan=browser_plan(source.schema, book.event_names if book is not None else None),
    )


def _steps(**steps: Rewrite | None) -> tuple[tuple[str, Rewrite], ...]:
    """Those that have something to do, by stage name."""
    return tuple((stage, step) for stage, step in steps.items() if step is not None)


def _compile_subscription(subscription: Subscription, action: Action) -> CompiledSubscription:
    """Fields that are the same for every event are coerced here, once; those that do not fit fail with each event."""
    mapping = {field.name: field.default for field in action.fields if field.default is not None} | dict(subscription.mapping)
    optional = tuple(replace(field, required=False) for field in action.fields)
    constants = constants_of(mapping)
    try:
        known = compile_fields(optional)(constants)
    except PayloadError:
        constants = known = {}
    moving = {name: value for name, value in mapping.items() if name not in constants}
    compile_mapping(mapping)  # raises what is wrong, in the constants as well
    resolve, coerce = compile_mapping(moving), compile_fields(action.fields, known)
    keys = ("enable_batching", "batch_size", "batch_keys", *(known.get("batch_keys") or action.batch_keys))
    batch = None if any(key in moving for key in keys) else batch_of(action, known)
    return CompiledSubscription(subscription, action, compile_trigger(subscription.trigger), lambda payload: coerce(resolve(payload)), batch)


def batch_of(action: Action, fields: Mapping[str, Any]) -> tuple[str, int]:
    """Batch key and the most events of its request. The one action of a sink (no `perform`) always batches."""
    if action.batch_size <= 1:
        return ALONE
    if action.perform is None:
        return ANY_BATCH, action.batch_size
    if action.perform_batch is None or not (action.batch_always or fields.get("enable_batching") is True):
        return ALONE
    wanted = int(fields.get("batch_size") or 0)
    size = min(action.batch_size, wanted) if wanted > 0 else action.batch_size
    keys = fields.get("batch_keys") or action.batch_keys
    return jsonio.dumps([fields.get(key) for key in keys]).decode() if keys else ANY_BATCH, size
