"""Deletion requests: suppress and delete users, the receipts, and the search again. For admins: whoever may order it may destroy data."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.forget import Forget
from relay.errors import RequestError
from relay.web.auth import allowed
from relay.web.console.reading import read_object, refuse_unknown, text_of
from relay.web.respond import json_answer


class ForgetRoutes:
    """`POST forget` {user_ids, type}, `GET forget`, `GET forget/{id}`, `POST forget/verify` {user_id}."""

    def __init__(self, forget: Forget) -> None:
        self._forget = forget

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/forget", self.ls),
            web.post("/ui/api/forget", self.start),
            web.post("/ui/api/forget/verify", self.verify),
            web.get("/ui/api/forget/{job_id}", self.show),
        ]

    async def ls(self, request: web.Request) -> web.Response:
        allowed(request, Role.ADMIN)
        return json_answer(await self._forget.jobs())

    async def start(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.ADMIN)
        given = await read_object(request)
        refuse_unknown(given, frozenset(("user_ids", "type")))
        user_ids = given.get("user_ids")
        if not isinstance(user_ids, list):
            raise RequestError(400, "bad_request", "user_ids must be a list of strings.")
        return json_answer(await self._forget.start(user_ids, text_of(given, "type", "SUPPRESS_WITH_DELETE"), by))

    async def verify(self, request: web.Request) -> web.Response:
        allowed(request, Role.ADMIN)
        given = await read_object(request)
        refuse_unknown(given, frozenset(("user_id",)))
        return json_answer(await self._forget.verify(text_of(given, "user_id")))

    async def show(self, request: web.Request) -> web.Response:
        allowed(request, Role.ADMIN)
        text = request.match_info["job_id"]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise RequestError(404, "not_found", "There is no such job.")
        return json_answer(await self._forget.job(int(text)))
