"""One attempt: units of one subscription become requests or a sink's write, and every unit gets an answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from relay.base.jsonio import dumps
from relay.delivery.verdict import Verdict
from relay.errors import DeliveryError, PayloadError, Permanent
from relay.kit.definition import Delivery
from relay.kit.request import Request, Response, Transport
from relay.kit.shown import shown
from relay.kit.sink import Sink
from relay.kit.steps import drive
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Unit

log = structlog.get_logger("relay.delivery")

KEPT_BODY_BYTES = 8_192
UNSURE = frozenset(("ETIMEDOUT", "ECONNRESET", "EPROTO"))
"""Codes of attempts that may have arrived although no answer came."""


@dataclass(slots=True)
class Answer:
    """What came back for one unit, and the last request that was sent for it."""

    result: Response | Exception
    request: Request | None = None


OK = Response(200)
STORED = Answer(OK)


async def attempt(units: Sequence[Unit], destination: CompiledDestination, transport: Transport, *, now_s: float) -> list[Answer]:
    """Ask the action for its requests and send them; all units of a batch share the answer. Raises only on cancellation."""
    action = units[0].action
    assert action is not None
    settings = destination.destination.settings
    sent: Request | None = None
    last = OK

    async def send(request: Request) -> Response:
        nonlocal last, sent
        sent = request
        last = await transport.send(request)
        return last

    result: Response | Exception
    try:
        deliveries = [Delivery(unit.fields, unit.event, now_s) for unit in units]
        if unit_batch := units[0].batch_key:
            assert action.perform_batch is not None, unit_batch
            performed = action.perform_batch(settings, deliveries)
        else:
            assert action.perform is not None
            performed = action.perform(settings, deliveries[0])
        if isinstance(performed, Request):
            sent = performed
            result = last = await transport.send(performed)
        else:
            await drive(performed, send)
            result = last
        if action.read_answer is not None and (errors := action.read_answer(deliveries, last)) is not None:
            return [Answer(error or (last if last.status < 300 else OK), sent) for error in errors]
    except (DeliveryError, PayloadError) as error:
        result = error if action.is_repeatable or error.code not in UNSURE else Permanent(f"it may have been sent: {error.message}", code="unsure")
    except Exception as error:  # fence: a bug in an action is an outcome too, code "bug"
        log.exception("action.failed", destination=destination.destination.slug, action=action.slug, message_id=units[0].event.message_id)
        result = error
    return [Answer(result, sent)] * len(units)


async def attempt_sink(units: Sequence[Unit], sink: Sink, destination: CompiledDestination) -> list[Answer]:
    """Let the sink write; one answer per unit. Raises only on cancellation."""
    try:
        errors = await sink.write([(unit.seq, unit.event) for unit in units])
    except DeliveryError as error:
        return [Answer(error)] * len(units)
    except Exception as error:  # fence: a bug in a sink is an outcome too
        log.exception("sink.failed", destination=destination.destination.slug)
        return [Answer(error)] * len(units)
    return [Answer(error) if error else STORED for error in errors]


def detail_of(answer: Answer, verdict: Verdict) -> bytes:
    """JSON of request and answer for people, secrets masked; kept with a failed unit."""
    request = shown(answer.request, body_bytes=KEPT_BODY_BYTES) if answer.request is not None else None
    return dumps({"request": request, "response": {"status": verdict.status, "body": verdict.sample.decode("utf-8", "replace")}})
