"""What this relay is, and who did what; read only."""

from typing import Final

from aiohttp import web

from relay.access.operator import Role
from relay.access.store import TokenStore
from relay.control.inventory import Inventory
from relay.web.auth import allowed
from relay.web.console.reading import number_of
from relay.web.respond import json_answer

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000


class SettingsRoutes:
    """`GET settings` for admins, `GET audit` for operators."""

    def __init__(self, inventory: Inventory, tokens: TokenStore) -> None:
        self._inventory = inventory
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/settings", self.settings), web.get("/ui/api/audit", self.audit)]

    async def settings(self, request: web.Request) -> web.Response:
        allowed(request, Role.ADMIN)
        return json_answer(await self._inventory.tell())

    async def audit(self, request: web.Request) -> web.Response:
        """`?before=&limit=`: newest first; `before` is the id of the last one that is known."""
        allowed(request, Role.OPERATOR)
        before, limit = int(number_of(request.query, "before")), min(int(number_of(request.query, "limit", LIMIT)), LIMIT_MAX)
        rows = await self._tokens.audited(before=before or None, limit=limit)
        told = [
            {"id": number, "at_s": one.at_s, "operator": one.operator, "action": one.action, "subject": one.subject, "detail": one.detail}
            for number, one in rows
        ]
        return json_answer({"audit": told})
