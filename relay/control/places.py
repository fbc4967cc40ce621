"""The places where relay, or what it delivers to, keeps something of a user: each finds and deletes it. For deletion requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from relay.access.store import TokenStore
from relay.alerts.store import AlertStore
from relay.alerts.watch import Watch
from relay.base.clock import Clock
from relay.control.live import Live
from relay.delivery.verdict import Kind, judge
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.request import Request, Response, Transport
from relay.kit.sink import Eraser, Send
from relay.kit.steps import drive
from relay.kit.subjects import Subjects
from relay.outbox.interface import Naming, Outbox
from relay.pipeline.compiled import CompiledDestination
from relay.workspace.model import BUILT_IN_SOURCE

SLICE_EVENTS: Final = 5_000
PAUSE_S: Final = 0.01
"""Between two slices of the log, so that live traffic has the writer."""
TRIES: Final = 6
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
ROUNDS: Final = 3
"""How often files are looked through again for what came in while they were written."""
SAVE_EVERY: Final = 20
NO_CALL: Final = "relay knows no call of its API that deletes a user"
NO_RECALL: Final = "what was sent cannot be taken back"

Counts = dict[str, int]


class Place(Protocol):
    """One place. Both methods may be called again after they broke off anywhere; they raise RelayError when it cannot be done."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """Its entries in the receipt, and the kind of each."""
        ...

    async def find(self, users: Subjects) -> Counts:
        """How much there is of them, by entry."""
        ...

    async def erase(self, users: Subjects) -> None: ...


class Books:
    """relay's own database: the log and what hangs on it, alerts, audit records."""

    kinds = dict.fromkeys(("log", "waiting", "dead_letters", "samples", "refused", "alerts", "audit"), "database")

    def __init__(self, *, outbox: Outbox, alerts: AlertStore, watch: Watch, tokens: TokenStore, flush: Callable[[], Awaitable[None]]) -> None:
        """`flush` writes the samples that are still in memory, so that they are found."""
        self._outbox = outbox
        self._alerts = alerts
        self._watch = watch
        self._tokens = tokens
        self._flush = flush

    async def find(self, users: Subjects) -> Counts:
        await self._flush()
        traces = await self._outbox.traces(users)
        counts = {"alerts": len(await self._alerts.naming(users)), "audit": await self._tokens.audits_naming(users)}
        return {"log": await self._log(users, erase=False)} | traces.counts | counts

    async def erase(self, users: Subjects) -> None:
        await self._log(users, erase=True)
        await self._flush()
        await self._outbox.erase_traces(users)
        await self._watch.forget(users)
        await self._tokens.erase_audits(users)

    async def _log(self, users: Subjects, *, erase: bool) -> int:
        """How many events of the log are theirs, up to its head of now: under traffic it never stands still. The writer is asked for slices
        only that hold some."""
        ids, naming, after, count = sorted(users.user_ids), Naming(BUILT_IN_SOURCE, users), 0, 0
        head = self._outbox.head
        while after < head:
            some, reached = await self._outbox.count_of(ids, after=after, limit=SLICE_EVENTS, naming=naming)
            if some and erase:
                await self._outbox.erase(ids, after=after, limit=SLICE_EVENTS, naming=naming)
            count, after = count + some, reached
            await asyncio.sleep(PAUSE_S)
        return count


class Ring:
    """The live debugger's rows, in memory."""

    kinds = {"debugger": "memory"}

    def __init__(self, live: Live) -> None:
        self._live = live

    async def find(self, users: Subjects) -> Counts:
        return {"debugger": self._live.count(users)}

    async def erase(self, users: Subjects) -> None:
        self._live.forget(users)


class Kept:
    """What a destination stored: an archive's files or objects, a warehouse's tables. `settle` ends what its sink holds open."""

    def __init__(
        self, slug: str, kind: str, transport: Callable[[], Transport], open_eraser: Callable[[Send], Eraser], settle: Callable[[], Awaitable[None]]
    ) -> None:
        self.kinds = {slug: kind}
        self._slug = slug
        self._transport = transport
        self._open = open_eraser
        self._settle = settle

    async def find(self, users: Subjects) -> Counts:
        return {self._slug: await self._ask(lambda eraser: eraser.find(users))}

    async def erase(self, users: Subjects) -> None:
        """More than once if need be: the last batches may still be on their way when the first files are done."""
        for _ in range(ROUNDS):
            await self._settle()
            await self._ask(lambda eraser: eraser.erase(users))
            if not await self._ask(lambda eraser: eraser.find(users)):
                return

    async def _ask(self, work: Callable[[Eraser], Awaitable[int]]) -> int:
        async def once() -> int:
            transport = self._transport()
            eraser = self._open(transport.send)
            try:
                return await work(eraser)
            finally:
                await eraser.close()
                await transport.close()

        count: int = await patiently(once)
        return count


class Receiver:
    """A destination whose API deletes users. What it has of them it does not tell, so the users are counted that it was asked to delete."""

    def __init__(self, destination: CompiledDestination, transport: Callable[[], Transport], clock: Clock) -> None:
        self.slug = destination.destination.slug
        self._destination = destination
        self._transport = transport
        self._clock = clock

    async def delete(self, user_ids: list[str], progress: dict[str, Any], save: Callable[[], Awaitable[None]]) -> None:
        """Ask for each user, from `progress["done"]` on; counts in it, and keeps the first refusal as `error`."""
        transport = self._transport()
        try:
            for place in range(int(progress.get("done", 0)), len(user_ids)):
                try:
                    await patiently(lambda user_id=user_ids[place]: self._ask(transport, user_id))  # type: ignore[misc]
                    progress["erased"] += 1
                except DeliveryError as error:
                    progress["error"] = progress["error"] or error.message
                    if isinstance(error, Misconfigured):
                        raise
                progress["done"] = place + 1
                if progress["done"] % SAVE_EVERY == 0:
                    await save()
        finally:
            await transport.close()

    async def _ask(self, transport: Transport, user_id: str) -> None:
        """Raises DeliveryError as the answer means; a user that is not known there is as good as deleted."""
        on_delete, last = self._destination.definition.on_delete, Response(200)
        assert on_delete is not None, "only such destinations are asked"

        async def send(request: Request) -> Response:
            nonlocal last
            last = await transport.send(request)
            return last

        performed = on_delete(self._destination.destination.settings, user_id)
        if isinstance(performed, Request):
            await send(performed)
        else:
            await drive(performed, send)
        if last.status == 404:
            return
        verdict = judge(last, batch=False, retry_all=False, now_s=self._clock.now())
        said = f"the receiver answered {last.status}"
        if verdict.kind is Kind.RETRY:
            raise Retryable(said, status=last.status, retry_after_s=verdict.retry_after_s)
        if verdict.kind is Kind.HOLD:
            raise Misconfigured(f"{said}: {verdict.code}", status=last.status)
        if verdict.kind is not Kind.DELIVERED:
            raise Permanent(said, status=last.status)


async def patiently(work: Callable[[], Awaitable[Any]]) -> Any:
    """Try again what is temporary, some times."""
    wait_s = FIRST_WAIT_S
    for _ in range(TRIES - 1):
        try:
            return await work()
        except Retryable as error:
            await asyncio.sleep(min(max(wait_s, error.retry_after_s or 0.0), LONGEST_WAIT_S))
            wait_s *= 2
    return await work()
