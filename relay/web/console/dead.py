"""Dead letters and replays."""

from typing import Final

import structlog
from aiohttp import web

from relay.access.operator import Role
from relay.base import jsonio
from relay.base.masking import mask
from relay.control.operate import Operations
from relay.control.replay import Replays, ReplaySpec
from relay.control.statistics import Statistics
from relay.errors import RequestError, StoreError
from relay.outbox.interface import Selection
from relay.web.auth import allowed
from relay.web.console.masked import masked
from relay.web.console.reading import condition_of, flag_of, number_of, read_object, refuse_unknown, selection_of, text_of
from relay.web.pages import SECURITY_HEADERS
from relay.web.respond import json_answer

log = structlog.get_logger("relay.web")

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000
ORDER: Final = frozenset(("to", "code", "since_s", "until_s", "message_ids", "ids", "filter", "dry_run", "from"))
EXPORT_HEADERS: Final = {
    **SECURITY_HEADERS, "Cache-Control": "no-store", "Content-Type": "application/x-ndjson", "Content-Disposition": 'attachment; filename="dead.ndjson"',
}  # fmt: skip
REPLAY: Final = frozenset(("to", "since_s", "until_s", "source", "rate", "filter", "dry_run", "from"))


class DeadRoutes:
    """`GET dead`, `GET dead/export`, `POST dead/resend|discard`, `POST replay`, `GET jobs`, `POST jobs/{name}/cancel`. `mask_names`: `[ui] mask`."""

    def __init__(self, operations: Operations, replays: Replays, statistics: Statistics, mask_names: tuple[str, ...]) -> None:
        self._operations = operations
        self._replays = replays
        self._statistics = statistics
        self._mask_names = mask_names

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/dead", self.dead),
            web.get("/ui/api/dead/export", self.export),
            web.post("/ui/api/dead/resend", self.resend),
            web.post("/ui/api/dead/discard", self.discard),
            web.post("/ui/api/replay", self.replay),
            web.get("/ui/api/jobs", self.jobs),
            web.post("/ui/api/jobs/{name}/cancel", self.cancel),
        ]

    async def dead(self, request: web.Request) -> web.Response:
        """`?to=&code=&since_s=&until_s=&message_id=&filter=&limit=`; `total` counts all that match. What was sent and answered is for operators."""
        whole = allowed(request, Role.VIEWER).role.includes(Role.OPERATOR)
        query, (which, condition) = request.query, _asked(request)
        limit = min(int(number_of(query, "limit", LIMIT)), LIMIT_MAX)
        to = query.get("to", "")
        total = await self._operations.count_dead(to, which, condition)
        letters = await self._operations.dead(to, which, limit, condition)
        shown = [letter | {"detail": masked(letter["detail"], self._mask_names) if whole else None} for letter in letters]
        return json_answer({"dead": shown, "total": total})

    async def export(self, request: web.Request) -> web.StreamResponse:
        """`?to=&code=&since_s=&until_s=&message_id=&filter=`: one JSON object a line, each with the event's payload; streamed, so of any number."""
        allowed(request, Role.OPERATOR)
        to, (which, condition) = request.query.get("to", ""), _asked(request)
        await self._operations.dead(to, which, 0, condition)  # an unknown destination or a bad filter is told before the answer begins
        response = web.StreamResponse(headers=EXPORT_HEADERS)
        await response.prepare(request)
        try:
            async for letter, event in self._operations.every_dead(to, which, condition):
                letter["detail"] = masked(letter["detail"], self._mask_names)
                letter["payload"] = mask(event.payload, self._mask_names) if event else None
                await response.write(jsonio.dumps(letter) + b"\n")
            await response.write_eof()
        except (ConnectionError, StoreError) as error:  # the head is sent: all that can be told is an answer that breaks off
            log.info("export.broken_off", error=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def resend(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        to, which, condition, dry_run = await self._order(request)
        work = self._operations.count_dead(to, which, condition) if dry_run else self._operations.resend(to, which, by, condition)
        return json_answer({"count": await work})

    async def discard(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        to, which, condition, dry_run = await self._order(request)
        work = self._operations.count_dead(to, which, condition) if dry_run else self._operations.discard(to, which, by, condition)
        return json_answer({"count": await work})

    async def replay(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, REPLAY)
        numbers = [number_of(given, name) for name in ("since_s", "until_s")]
        spec = ReplaySpec(
            text_of(given, "to"),
            numbers[0],
            numbers[1],
            text_of(given, "source"),
            number_of(given, "rate"),
            condition_of(given),
            text_of(given, "from"),
        )
        if not spec.to or not (spec.archive or "since_s" in given):
            raise RequestError(400, "bad_request", "A replay needs to, and since_s or from.")
        found = await self._replays.estimate(spec)
        count = found.events
        if flag_of(given, "dry_run"):
            return json_answer({"count": count, "exact": found.exact, "estimate_s": self._statistics.estimate_s(spec, count)})
        return json_answer({"count": count, "job": await self._replays.start(spec, by)}, status=202)

    async def jobs(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer({"jobs": await self._replays.jobs()})

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a replay; one that is over loses nothing more."""
        by = allowed(request, Role.OPERATOR)
        return json_answer({"discarded": await self._replays.cancel(request.match_info["name"], by)})

    async def _order(self, request: web.Request) -> tuple[str, Selection, str, bool]:
        given = await read_object(request)
        refuse_unknown(given, ORDER)
        return text_of(given, "to"), selection_of(given), condition_of(given), flag_of(given, "dry_run")


def _asked(request: web.Request) -> tuple[Selection, str]:
    """Which dead letters a query means: selection and filter."""
    query = request.query
    message_ids = tuple(query.getall("message_id", []))
    which = Selection((), message_ids, query.get("code", ""), number_of(query, "since_s"), number_of(query, "until_s"))
    return which, condition_of(query)
