"""The destinations that this relay can deliver to."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.catalog import CatalogView
from relay.web.auth import allowed
from relay.web.respond import json_answer


class CatalogRoutes:
    """`GET catalog` and, with its README, `GET catalog/{slug}`."""

    def __init__(self, view: CatalogView) -> None:
        self._view = view

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/catalog", self.all), web.get("/ui/api/catalog/{slug}", self.one)]

    async def all(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(self._view.all())

    async def one(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(self._view.one(request.match_info["slug"]))
