"""One workspace version, compiled: closures built once, read by every event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relay.base.event import Event
from relay.errors import ConfigError, Problem
from relay.kit.coerce import compile_fields
from relay.kit.definition import Action, Catalog, Definition
from relay.kit.fql import compile_trigger
from relay.kit.mapping import compile_mapping
from relay.workspace.model import BUILT_IN_SOURCE, Destination, Source, Subscription, Workspace


@dataclass(frozen=True, slots=True)
class CompiledSubscription:
    """A subscription whose trigger and mapping are closures."""

    subscription: Subscription
    action: Action
    trigger: Callable[[Event], bool]
    mapper: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Payload to fields, coerced and validated; raises PayloadError."""


@dataclass(frozen=True, slots=True)
class CompiledDestination:
    """A destination ready to decide. `names`: how an event's `integrations` may name it, most specific first."""

    destination: Destination
    definition: Definition
    subscriptions: tuple[CompiledSubscription, ...]
    source_ids: frozenset[str]
    names: tuple[str, ...]
    version: int


@dataclass(frozen=True, slots=True)
class CompiledSource:
    """A source ready to take events."""

    source: Source


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


class Current:
    """The workspace version in use; written by control alone."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled


def compile_workspace(workspace: Workspace, catalog: Catalog) -> Compiled:
    """Compile every trigger and mapping; raises ConfigError with all mistakes, each with its destination's place."""
    problems: list[Problem] = []
    destinations = {}
    for destination in workspace.destinations:
        definition = catalog[destination.type]
        subscriptions = []
        for subscription in destination.subscriptions:
            if not subscription.enabled:
                continue
            try:
                subscriptions.append(_compile_subscription(subscription, definition.actions[subscription.action]))
            except ConfigError as error:
                problems += [
                    Problem(f'destination "{destination.slug}": mapping "{subscription.name}": {problem.message}', destination.place, problem.remedy)
                    for problem in error.problems
                ]
        names = tuple(dict.fromkeys((destination.slug, destination.name, definition.name)))
        destinations[destination.destination_id] = CompiledDestination(
            destination, definition, tuple(subscriptions), frozenset(destination.source_ids), names, workspace.version
        )
    if problems:
        raise ConfigError(problems)
    own = Source(BUILT_IN_SOURCE, BUILT_IN_SOURCE, "relay", ())
    sources = {source.source_id: CompiledSource(source) for source in (*workspace.sources, own)}
    by_key = {key: sources[source.source_id] for source in workspace.sources for key in source.write_keys}
    return Compiled(workspace.version, workspace, catalog, sources, by_key, destinations)


def _compile_subscription(subscription: Subscription, action: Action) -> CompiledSubscription:
    mapping = {field.name: field.default for field in action.fields if field.default is not None} | dict(subscription.mapping)
    resolve, coerce = compile_mapping(mapping), compile_fields(action.fields)
    return CompiledSubscription(subscription, action, compile_trigger(subscription.trigger), lambda payload: coerce(resolve(payload)))
