"""Privacy: which sensitive fields there are, and what they were decided to be."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.privacy_view import PrivacyView
from relay.web.auth import allowed
from relay.web.console.reading import read_object, refuse_unknown, text_of
from relay.web.respond import json_answer


class PrivacyRoutes:
    """`GET privacy`, `PUT privacy/fields` {source, path, color}."""

    def __init__(self, privacy: PrivacyView) -> None:
        self._privacy = privacy

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/privacy", self.view), web.put("/ui/api/privacy/fields", self.decide)]

    async def view(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(await self._privacy.view())

    async def decide(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, frozenset(("source", "path", "color")))
        return json_answer(await self._privacy.decide(text_of(given, "source"), text_of(given, "path"), text_of(given, "color"), by))
