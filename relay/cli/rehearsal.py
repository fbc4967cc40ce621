"""What a destination would get for a message, from the configuration alone: intake, both sides of the pipeline, the action; nothing is sent."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relay.base.clock import SystemClock
from relay.base.secret import MASK, Secret
from relay.cli import exits
from relay.errors import DeliveryError, PayloadError

if TYPE_CHECKING:
    from relay.base.event import Event
    from relay.kit.request import Request
    from relay.pipeline.compiled import Compiled, CompiledDestination, CompiledSource
    from relay.pipeline.decision import Unit

MAX_REQUESTS: Final = 20
"""An action that asks for more in a row is cut off: the rehearsed answers are always the same."""
SHORTEST_SECRET: Final = 4
"""Shorter texts are not looked for in bodies: they would mask what is no secret."""


def rehearse_message(config: Path | None, slug: str, source_slug: str | None, message: dict[str, Any]) -> dict[str, Any]:
    """`{destination, message_id, outcome, code, problem, requests}` of one message; secrets masked."""
    from relay.cli.check import read

    _, compiled = read(config)
    destination = next((one for one in compiled.destinations.values() if one.destination.slug == slug), None)
    if destination is None:
        known = ", ".join(one.destination.slug for one in compiled.destinations.values())
        raise exits.Failure(exits.NO_MATCH, f"there is no destination {slug!r} in the configuration", f"There are: {known or 'none'}")
    event = _event_of(message, _source_for(compiled, destination, source_slug))
    return {"destination": slug, "message_id": event.message_id} | _deliver(event, compiled, destination)


def _source_for(compiled: "Compiled", destination: "CompiledDestination", slug: str | None) -> "CompiledSource":
    for one in compiled.sources.values():
        if one.source.slug == slug if slug else one.source.source_id in destination.source_ids:
            if one.source.source_id not in destination.source_ids:
                raise exits.Failure(exits.NO_MATCH, f"source {slug!r} is not connected to destination {destination.destination.slug!r}")
            return one
    raise exits.Failure(exits.NO_MATCH, f"there is no source {slug!r}" if slug else f"no source is connected to {destination.destination.slug!r}")


def _event_of(message: dict[str, Any], source: "CompiledSource") -> "Event":
    from relay.base.codes import CODES
    from relay.base.ids import new_message_id
    from relay.pipeline.intake import Client, Limits, accept, time_text

    received_ms = int(SystemClock().now() * 1000)
    events, refusals = accept(
        [message], {}, source, received_ms=received_ms, received_text=time_text(received_ms), client=Client(), limits=Limits(), new_id=new_message_id
    )
    if refusals:
        code = refusals[0].code
        raise exits.Failure(exits.PROBLEMS, f"relay would refuse the message: {code}: {CODES.get(code, code)}")
    return events[0]


def _deliver(event: "Event", compiled: "Compiled", destination: "CompiledDestination") -> dict[str, Any]:
    from relay.base.codes import CODES
    from relay.pipeline.decision import Drop
    from relay.pipeline.destination_side import destination_side
    from relay.pipeline.source_side import source_side

    sourced = source_side(1, event, compiled.sources.get(event.source_id))
    units = destination_side(sourced, destination)
    if isinstance(units, Drop):
        return {"outcome": units.door.value, "code": units.code, "problem": CODES.get(units.code, ""), "requests": []}
    if destination.definition.mode == "storage":
        return {"outcome": "stored", "code": "", "problem": "", "requests": []}
    answers = [_perform(unit, destination) for unit in units]
    failed = next((answer for answer in answers if answer["code"]), None)
    return {
        "outcome": "refused" if failed else "would send",
        "code": failed["code"] if failed else "",
        "problem": failed["problem"] if failed else "",
        "requests": [request for answer in answers for request in answer["requests"]],
    }


def _perform(unit: "Unit", destination: "CompiledDestination") -> dict[str, Any]:
    from relay.base.ids import delivery_key
    from relay.kit.definition import Delivery
    from relay.kit.request import Request, Response
    from relay.kit.steps import rehearse

    action = unit.action
    if unit.problem or action is None or action.perform is None:
        return {"code": unit.problem_code, "problem": unit.problem, "requests": []}
    settings = destination.destination.settings
    event = unit.event
    delivery = Delivery(unit.fields, event, delivery_key(event.source_id, event.message_id), SystemClock().now())
    try:
        performed = action.perform(settings, delivery)
        asked: Sequence[Request] = [performed]  # type: ignore[list-item]
        if not isinstance(performed, Request):
            _, asked = rehearse(performed, itertools.repeat(Response(200, {}, b"{}"), MAX_REQUESTS))
    except (PayloadError, DeliveryError) as error:
        return {"code": error.code, "problem": error.message, "requests": []}
    return {"code": "", "problem": "", "requests": [shown(request, settings) for request in asked]}


def shown(request: "Request", settings: Mapping[str, Any]) -> dict[str, Any]:
    """A request for a person's eyes: secret headers, query keys and addresses, and the text of secret settings, are masked."""
    from relay.delivery.attempt import masked_url

    secrets = sorted((text for value in settings.values() for text in _secret_texts(value) if len(text) >= SHORTEST_SECRET), key=len, reverse=True)
    return {
        "method": request.method,
        "url": _without(masked_url(request), secrets),
        "headers": {name: MASK if name.lower() in request.secrets else _without(value, secrets) for name, value in request.headers},
        "body": _without(request.body.decode("utf-8", "replace"), secrets),
    }


def _secret_texts(value: Any) -> list[str]:
    if isinstance(value, Secret):
        return [value.reveal()]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _secret_texts(item)]
    return [text for item in value for text in _secret_texts(item)] if isinstance(value, list | tuple) else []


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
