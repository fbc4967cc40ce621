"""Destinations: how each delivers, what fails and why, how it is set up; hold and resume."""

from typing import Any, Final

from aiohttp import web

from relay.access.operator import Role
from relay.access.store import TokenStore
from relay.control.operate import Operations
from relay.control.setup import setup_of
from relay.control.statistics import DEFAULT_PERIOD, Statistics
from relay.errors import RequestError
from relay.pipeline.compiled import Current
from relay.web.auth import allowed
from relay.web.console.masked import masked
from relay.web.respond import json_answer

AUDIT_SHOWN: Final = 20


class DestinationRoutes:
    """`GET destinations`, `GET destinations/{slug}?period=`, `GET destinations/{slug}/samples?code=`, `POST destinations/{slug}/hold|resume`."""

    def __init__(self, operations: Operations, statistics: Statistics, current: Current, tokens: TokenStore, mask_names: tuple[str, ...]) -> None:
        self._operations = operations
        self._statistics = statistics
        self._current = current
        self._tokens = tokens
        self._mask_names = mask_names

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/destinations", self.destinations),
            web.get("/ui/api/destinations/{slug}", self.destination),
            web.get("/ui/api/destinations/{slug}/samples", self.samples),
            web.post("/ui/api/destinations/{slug}/hold", self.hold),
            web.post("/ui/api/destinations/{slug}/resume", self.resume),
        ]

    async def destinations(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer({"destinations": await self._statistics.destinations()})

    async def destination(self, request: web.Request) -> web.Response:
        """What it was told and by whom (`audit`) is for operators."""
        by = allowed(request, Role.VIEWER)
        slug = request.match_info["slug"]
        told = await self._statistics.destination(slug, request.query.get("period", DEFAULT_PERIOD))
        told |= setup_of(self._current, slug, self._mask_names)
        told["audit"] = await self._audit(slug) if by.role.includes(Role.OPERATOR) else []
        return json_answer(told)

    async def samples(self, request: web.Request) -> web.Response:
        """Newest first. The body of a request holds a user's data, so a viewer does not see it."""
        whole = allowed(request, Role.VIEWER).role.includes(Role.OPERATOR)
        code = request.query.get("code", "")
        if not code:
            raise RequestError(400, "bad_request", "Say which code: ?code=500.")
        found = await self._statistics.samples(request.match_info["slug"], code)
        return json_answer({"samples": [self._shown(one, whole) for one in found]})

    async def hold(self, request: web.Request) -> web.Response:
        await self._operations.hold(request.match_info["slug"], allowed(request, Role.OPERATOR))
        return json_answer({"held": True})

    async def resume(self, request: web.Request) -> web.Response:
        await self._operations.resume(request.match_info["slug"], allowed(request, Role.OPERATOR))
        return json_answer({"held": False})

    def _shown(self, sample: dict[str, Any], whole: bool) -> dict[str, Any]:
        request = masked(sample["request"], self._mask_names)
        if request and not whole:
            request = request | {"body": None}
        return sample | {"request": request, "response": masked(sample["response"], self._mask_names)}

    async def _audit(self, slug: str) -> list[dict[str, Any]]:
        rows = await self._tokens.audited(subject=slug, limit=AUDIT_SHOWN)
        return [{"id": number, "at_s": one.at_s, "operator": one.operator, "action": one.action, "detail": one.detail} for number, one in rows]
