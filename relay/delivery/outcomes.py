"""From answers to outcomes: what a verdict means for its unit, for the gate, and for the pace of the destination."""

from collections.abc import Sequence

from relay.base.chance import Chance
from relay.base.clock import Clock
from relay.base.codes import Door
from relay.delivery.attempt import Answer, detail_of
from relay.delivery.breaker import Gate
from relay.delivery.retry import decide
from relay.delivery.throttle import Throttle
from relay.delivery.verdict import Kind, Verdict, judge
from relay.observe.facts import BreakerChanged, DestinationHeld, DestinationReleased
from relay.observe.observer import Observer
from relay.outbox.interface import DEAD, RETRY, Outcome
from relay.pipeline.decision import Unit
from relay.workspace.model import Destination

DELIVERED = Door.DELIVERED.value


class Outcomes:
    """Decides for one destination. `pace` is paused by Retry-After; `fails_whole`: a failure is never one event's fault (sinks)."""

    def __init__(
        self, model: Destination, gate: Gate, pace: Throttle, *, clock: Clock, chance: Chance, observer: Observer, fails_whole: bool
    ) -> None:
        self._model = model
        self._gate = gate
        self._pace = pace
        self._clock = clock
        self._chance = chance
        self._observer = observer
        self._fails_whole = fails_whole

    def judge(self, answers: Sequence[Answer], duration_ms: float) -> list[Verdict]:
        """One verdict per answer of an attempt; units that share an answer share its verdict. A batch is halved only when it was refused as a whole."""
        whole = len(answers) > 1 and all(answer is answers[0] for answer in answers)
        first = self._judge(answers[0], duration_ms, batch=whole)
        return [first if answer is answers[0] else self._judge(answer, duration_ms, batch=False) for answer in answers]

    def _judge(self, answer: Answer, duration_ms: float, *, batch: bool) -> Verdict:
        model, now_s = self._model, self._clock.now()
        verdict = judge(answer.result, batch=batch, retry_all=model.retry_all, now_s=now_s, sample_bytes=model.response_sample_bytes)
        verdict.duration_ms = duration_ms
        return verdict

    def note_failure(self, verdicts: Sequence[Verdict]) -> bool:
        """Tell the gate of a retryable failure, once per attempt however many units it carried.

        Returns whether the units wait for the gate, without an attempt being counted.
        """
        failed = next((verdict for verdict in verdicts if verdict.kind is Kind.RETRY), None)
        if failed is None:
            return False
        if failed.retry_after_s:
            self._pace.pause(self._clock.monotonic() + failed.retry_after_s)
        return self._gate.failure(self._clock.now()) or self._fails_whole

    def note_gate(self) -> None:
        """Report where the gate stands, when it moved."""
        if state := self._gate.moved():
            self._observer.emit(BreakerChanged(destination=self._model.slug, state=state))

    def outcome(self, key: str, unit: Unit, verdict: Verdict, answer: Answer | None, attempts: int, first_s: float, *, shut: bool) -> Outcome | None:
        """What to write of one unit; None: the verdict was about the destination, so the unit waits.

        `key` names the unit for the gate; `answer` None: nothing was sent; `shut` as `note_failure` said.
        """
        now_s, subscription_id = self._clock.now(), unit.subscription_id
        if verdict.kind is Kind.DELIVERED:
            if self._gate.success(key, now_s):
                self._observer.emit(DestinationReleased(destination=self._model.slug))
            return Outcome(subscription_id, DELIVERED, DELIVERED, attempts, first_s, status=verdict.status)
        if verdict.kind is Kind.RETRY and shut:
            return None
        if verdict.kind is Kind.HOLD and self._refused(key, verdict, now_s):
            return None
        detail = detail_of(answer, verdict) if answer else detail_of(Answer(OSError()), verdict)
        if verdict.kind is Kind.DEAD and answer is not None and self._gate.permanent(verdict.status, _text(verdict), now_s):
            self._held("refused", verdict)
        if verdict.kind is Kind.RETRY:
            limits, draw = self._model.retry, self._chance.draw
            due_s = decide(verdict, attempts=attempts, first_s=first_s, limits=limits, now_s=now_s, draw=draw)
            if due_s is not None:
                return Outcome(subscription_id, RETRY, verdict.code, attempts, first_s, due_s, verdict.status, detail)
        return Outcome(subscription_id, DEAD, verdict.code, attempts, first_s, 0.0, verdict.status, detail)

    def _refused(self, key: str, verdict: Verdict, now_s: float) -> bool:
        """The whole destination was refused; False: it is this event's own fault."""
        was_held = self._gate.hold is not None
        attempts = self._model.retry.min_attempts
        if not self._gate.refuse(key, verdict.code, verdict.status, _text(verdict), now_s, min_attempts=attempts):
            return False
        if not was_held:
            self._held(verdict.code, verdict)
        return True

    def _held(self, code: str, verdict: Verdict) -> None:
        self._observer.emit(DestinationHeld(destination=self._model.slug, by="relay", code=code, status=verdict.status))


def _text(verdict: Verdict) -> str:
    return verdict.sample.decode("utf-8", "replace")


def refused_unit(unit: Unit) -> Verdict:
    """The verdict on a unit that mapping or fields refuse: nothing is sent."""
    return Verdict(Kind.DEAD, unit.problem_code, None, None, 0.0, unit.problem.encode())
