"""What a destination would get for a message, from the configuration alone: intake, both sides of the pipeline, the action; nothing is sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.base.clock import SystemClock
from relay.cli import exits

if TYPE_CHECKING:
    from relay.base.event import Event
    from relay.pipeline.compiled import Compiled, CompiledDestination, CompiledSource


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
    from relay.kit.shown import shown
    from relay.pipeline.explain import explain_destination, explain_source

    sourced, _ = explain_source(1, event, compiled.sources.get(event.source_id))
    told = explain_destination(sourced, destination, sent_s=SystemClock().now())
    if told.drop is not None:
        return {"outcome": told.drop.door.value, "code": told.drop.code, "problem": CODES.get(told.drop.code, ""), "requests": []}
    if destination.definition.mode == "storage":
        return {"outcome": "stored", "code": "", "problem": "", "requests": []}
    failed = next((plan for plan in told.planned if plan.code), None)
    return {
        "outcome": "refused" if failed else "would send",
        "code": failed.code if failed else "",
        "problem": failed.problem if failed else "",
        "requests": [shown(request, destination.destination.settings) for plan in told.planned for request in plan.requests],
    }
