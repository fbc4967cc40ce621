"""Destinations and sources: how they are, hold and resume."""

from typing import Any

from aiohttp import web

from relay.access.operator import Role
from relay.control.operate import Operations
from relay.pipeline.compiled import Current
from relay.web.auth import OPERATOR, allowed
from relay.web.respond import json_answer


class DestinationRoutes:
    """`GET destinations`, `POST destinations/{slug}/hold|resume`, `GET sources`."""

    def __init__(self, operations: Operations, current: Current) -> None:
        self._operations = operations
        self._current = current

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/destinations", self.overview),
            web.post("/ui/api/destinations/{slug}/hold", self.hold),
            web.post("/ui/api/destinations/{slug}/resume", self.resume),
            web.get("/ui/api/sources", self.sources),
        ]

    async def overview(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer({"destinations": await self._operations.destinations_overview()})

    async def hold(self, request: web.Request) -> web.Response:
        await self._operations.hold(request.match_info["slug"], allowed(request, Role.OPERATOR))
        return json_answer({"held": True})

    async def resume(self, request: web.Request) -> web.Response:
        await self._operations.resume(request.match_info["slug"], allowed(request, Role.OPERATOR))
        return json_answer({"held": False})

    async def sources(self, request: web.Request) -> web.Response:
        """Write keys let one send as the source, so a viewer does not see them."""
        keys_shown = request[OPERATOR].role.includes(Role.OPERATOR)
        sources: list[dict[str, Any]] = []
        for one in self._current.compiled.workspace.sources:
            told = {"slug": one.slug, "name": one.name, "enabled": one.enabled}
            sources.append(told | ({"write_keys": list(one.write_keys)} if keys_shown else {}))
        return json_answer({"sources": sources})
