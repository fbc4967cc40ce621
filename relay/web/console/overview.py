"""The page that says at a glance how relay is doing."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.statistics import DEFAULT_PERIOD, Statistics
from relay.web.auth import allowed
from relay.web.respond import json_answer


class OverviewRoutes:
    """`GET overview?period=`."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/overview", self.overview)]

    async def overview(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(await self._statistics.overview(request.query.get("period", DEFAULT_PERIOD)))
