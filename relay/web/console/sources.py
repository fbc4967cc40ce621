"""Sources: what comes in, from which libraries, and what is refused. Write keys let one send as the source, so a viewer does not see them."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.statistics import DEFAULT_PERIOD, Statistics
from relay.web.auth import allowed
from relay.web.respond import json_answer


class SourceRoutes:
    """`GET sources`, `GET sources/{slug}?period=`."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/sources", self.sources), web.get("/ui/api/sources/{slug}", self.source)]

    async def sources(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.VIEWER)
        return json_answer({"sources": await self._statistics.sources(keys_shown=by.role.includes(Role.OPERATOR))})

    async def source(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.VIEWER)
        slug, period = request.match_info["slug"], request.query.get("period", DEFAULT_PERIOD)
        return json_answer(await self._statistics.source(slug, period, keys_shown=by.role.includes(Role.OPERATOR)))
