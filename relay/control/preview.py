"""What a filter or a transformation would make of an event, before anybody saves it: the same readers and stages as on the real way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from relay.base import jsonio
from relay.base.event import DELETED, TYPES, Event, event_of
from relay.base.masking import mask
from relay.config.reading import TableReader
from relay.config.tree import Tree, child
from relay.control.operate import find_destination
from relay.errors import ConfigError, Place, Problem, RequestError
from relay.outbox.interface import Outbox
from relay.pipeline.compiled import Current
from relay.pipeline.decision import Drop, Rules
from relay.pipeline.explain import diff
from relay.pipeline.stages.filters import compile_filters
from relay.pipeline.stages.transform import compile_transformations
from relay.pipeline.stages.validate import is_too_deep
from relay.workspace.filters import read_filters
from relay.workspace.rules import Filter, Transformation
from relay.workspace.transformations import read_transformations, with_kept_key

TEXTS: Final = ("messageId", "userId", "anonymousId", "event", "name")
SAMPLE: Final = {"messageId": "preview", "receivedAt": "2026-01-01T00:00:00.000Z"}
"""What a payload of one's own may leave out."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked: a filter, a transformation or both, on a stored event or on a payload."""

    filter: Mapping[str, Any] | None = None
    transformation: Mapping[str, Any] | None = None
    source: str = ""
    destination: str = ""
    event_id: str = ""
    payload: Mapping[str, Any] | None = None


class Preview:
    """Answers trials. `mask_names`: keys whose values never leave the server."""

    def __init__(self, *, outbox: Outbox, current: Current, mask_names: tuple[str, ...] = ()) -> None:
        self._outbox, self._current, self._mask_names = outbox, current, mask_names

    async def run(self, trial: Trial) -> dict[str, Any]:
        """`{inputPayload, result, changes, text, problems}`; `result` is null when the event is dropped.

        Raises ConfigError for rules that would not be saved (its places name keys of the rule), RequestError for the rest.
        """
        steps = self._steps(trial)
        event = await self._event(trial)
        result: Event | Drop = event
        texts, problems = [], []
        for step in steps:
            if isinstance(result, Drop):
                break
            texts.append(step.tell(result))
            result = step(result)
            if isinstance(result, Drop) and result.code == "INTERNAL":
                problems.append({"message": texts[-1], "at": step.stage})
        after = None if isinstance(result, Drop) else result.payload
        changes = diff(event.payload, after) if after is not None else ()
        return {
            "inputPayload": mask(event.payload, self._mask_names),
            "result": None if after is None else mask(after, self._mask_names),
            "changes": [
                {"path": one.path, "before": self._masked(one.path, one.before), "after": self._masked(one.path, one.after)} for one in changes
            ],
            "text": ", ".join(filter(None, texts)),
            "problems": problems,
        }

    def _steps(self, trial: Trial) -> list[Rules]:
        destination = find_destination(self._current, trial.destination) if trial.destination else None
        source = next((one for one in self._current.compiled.workspace.sources if one.slug == trial.source), None)
        if trial.source and source is None:
            raise RequestError(404, "not_found", f"There is no source {trial.source}.")
        if trial.filter is None and trial.transformation is None:
            raise RequestError(400, "bad_request", "Give a filter or a transformation.")
        owner = source or destination
        owned = owner.transformations if owner else ()
        definition = self._current.compiled.catalog[destination.type] if destination else None
        filters, transformations = tuple[Filter, ...](), tuple[Transformation, ...]()
        problems: list[Problem] = []
        if trial.filter is not None:
            filters = read_filters(_reader("filter", trial.filter, problems), definition)
        if trial.transformation is not None:
            table = with_kept_key(trial.transformation, [one.hashing.key.reveal() if one.hashing else "" for one in owned])
            transformations = read_transformations(_reader("transformation", table, problems), "source" if trial.source else "destination")
        if problems:
            raise ConfigError(problems)
        made = (compile_filters(filters, destination.slug if destination else ""), compile_transformations(transformations))
        return [step for step in made if step is not None]

    async def _event(self, trial: Trial) -> Event:
        if trial.payload is not None:
            return _event_of(trial.payload)
        number = trial.event_id[1:]
        if trial.event_id[:1] == "e" and number.isascii() and number.isdigit() and len(number) < 19:
            claim = await self._outbox.history.at(int(number))
            if claim is not None and claim.event.type != DELETED:
                return claim.event
        if not trial.event_id:
            raise RequestError(400, "bad_request", "Name the event by event_id, or give a payload.")
        raise RequestError(404, "not_found", "No stored event has this id.")

    def _masked(self, path: str, value: Any) -> Any:
        """A value at a path, masked as it would be inside of its object."""
        name = path.rpartition(".")[2]
        return mask({name: value}, self._mask_names)[name]


def _event_of(payload: Mapping[str, Any]) -> Event:
    """The event of a payload that a person wrote."""
    if payload.get("type") not in TYPES:
        raise RequestError(400, "bad_request", f"payload.type must be one of {', '.join(TYPES)}.")
    for name in TEXTS:
        if not isinstance(payload.get(name, ""), str):
            raise RequestError(400, "bad_request", f"payload.{name} must be a string.")
    message = {**SAMPLE, **payload}
    if is_too_deep(message):
        raise RequestError(400, "too_deep", "The payload is nested too deep.")
    return event_of(message, "", 0, jsonio.dumps(message))


def _reader(key: str, table: Mapping[str, Any], problems: list[Problem]) -> TableReader:
    """A reader of an owner that has this one rule; places are paths into it."""
    return TableReader(Tree(places=dict(_places(table, f"{key}[0]", ""))), "", "preview", problems, {key: [table]})


def _places(value: Any, path: str, shown: str) -> Iterator[tuple[str, Place]]:
    yield path, Place(shown, 0)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(item, child(path, key), child(shown, key))
