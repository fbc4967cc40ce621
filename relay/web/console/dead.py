"""Dead letters and replays."""

from typing import Any, Final

from aiohttp import web

from relay.access.operator import Role
from relay.base.masking import mask_text
from relay.control.operate import Operations
from relay.control.replay import Replays, ReplaySpec
from relay.errors import RequestError
from relay.outbox.interface import Selection
from relay.web.auth import allowed
from relay.web.console.reading import flag_of, number_of, read_object, refuse_unknown, selection_of, text_of
from relay.web.respond import json_answer

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000
ORDER: Final = frozenset(("to", "code", "since_s", "until_s", "message_ids", "ids", "dry_run"))
REPLAY: Final = frozenset(("to", "since_s", "until_s", "source", "rate", "dry_run"))


class DeadRoutes:
    """`GET dead`, `POST dead/resend`, `POST dead/discard`, `POST replay`, `GET jobs`. `mask_names`: `[ui] mask`."""

    def __init__(self, operations: Operations, replays: Replays, mask_names: tuple[str, ...]) -> None:
        self._operations = operations
        self._replays = replays
        self._mask_names = mask_names

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/dead", self.dead),
            web.post("/ui/api/dead/resend", self.resend),
            web.post("/ui/api/dead/discard", self.discard),
            web.post("/ui/api/replay", self.replay),
            web.get("/ui/api/jobs", self.jobs),
        ]

    async def dead(self, request: web.Request) -> web.Response:
        """`?to=&code=&since_s=&until_s=&message_id=&limit=`; `total` counts all that match. What was sent and answered is for operators."""
        whole = allowed(request, Role.VIEWER).role.includes(Role.OPERATOR)
        query = request.query
        message_ids = tuple(query.getall("message_id", []))
        which = Selection((), message_ids, query.get("code", ""), number_of(query, "since_s"), number_of(query, "until_s"))
        limit = min(int(number_of(query, "limit", LIMIT)), LIMIT_MAX)
        to = query.get("to", "")
        total = await self._operations.count_dead(to, which)
        letters = await self._operations.dead(to, which, limit)
        shown = [letter | {"detail": self._masked(letter["detail"]) if whole else None} for letter in letters]
        return json_answer({"dead": shown, "total": total})

    async def resend(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        to, which, dry_run = await self._order(request)
        return json_answer({"count": await (self._operations.count_dead(to, which) if dry_run else self._operations.resend(to, which, by))})

    async def discard(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        to, which, dry_run = await self._order(request)
        return json_answer({"count": await (self._operations.count_dead(to, which) if dry_run else self._operations.discard(to, which, by))})

    async def replay(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, REPLAY)
        numbers = [number_of(given, name) for name in ("since_s", "until_s")]
        spec = ReplaySpec(text_of(given, "to"), numbers[0], numbers[1], text_of(given, "source"), number_of(given, "rate"))
        if not spec.to or "since_s" not in given:
            raise RequestError(400, "bad_request", "A replay needs to and since_s.")
        count = await self._replays.count(spec)
        if flag_of(given, "dry_run"):
            return json_answer({"count": count})
        return json_answer({"count": count, "job": await self._replays.start(spec, by)}, status=202)

    async def jobs(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer({"jobs": await self._replays.jobs()})

    def _masked(self, detail: Any) -> Any:
        """Request and answer as text, wherever a text is one that can hold a name."""
        if isinstance(detail, dict):
            return {key: self._masked(item) for key, item in detail.items()}
        return mask_text(detail, self._mask_names) if isinstance(detail, str) else detail

    async def _order(self, request: web.Request) -> tuple[str, Selection, bool]:
        given = await read_object(request)
        refuse_unknown(given, ORDER)
        return text_of(given, "to"), selection_of(given), flag_of(given, "dry_run")
