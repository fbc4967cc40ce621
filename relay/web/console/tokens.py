"""Tokens: made, listed, revoked; by admins only."""

from typing import Any

from aiohttp import web

from relay.access.operator import Role
from relay.access.store import AuditRecord, Token, TokenStore
from relay.base.clock import Clock
from relay.errors import RequestError
from relay.web.auth import allowed
from relay.web.console.reading import number_of, read_object, refuse_unknown, text_of
from relay.web.respond import json_answer

NEW = frozenset(("name", "role", "expires_in_s"))
NAME_CHARS = 100


class TokenRoutes:
    """`GET tokens`, `POST tokens` {name, role, expires_in_s}, `DELETE tokens/{id}`."""

    def __init__(self, tokens: TokenStore, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/tokens", self.ls),
            web.post("/ui/api/tokens", self.new),
            web.delete("/ui/api/tokens/{token_id}", self.revoke),
        ]

    async def ls(self, request: web.Request) -> web.Response:
        allowed(request, Role.ADMIN)
        return json_answer({"tokens": [_shown(token) for token in await self._tokens.ls()]})

    async def new(self, request: web.Request) -> web.Response:
        """The answer is the only place where the token's text ever shows."""
        by = allowed(request, Role.ADMIN)
        given = await read_object(request)
        refuse_unknown(given, NEW)
        name, role = text_of(given, "name"), text_of(given, "role", Role.VIEWER.value)
        if not 0 < len(name) <= NAME_CHARS:
            raise RequestError(400, "bad_request", f"name must have 1 to {NAME_CHARS} characters.")
        if role not in set(Role):
            raise RequestError(400, "bad_request", f"role must be one of {', '.join(Role)}.")
        lasts_s = number_of(given, "expires_in_s")
        expires_s = self._clock.now() + lasts_s if lasts_s else None
        token, text = await self._tokens.new(name, Role(role), expires_s=expires_s)
        await self._tokens.audit(AuditRecord(self._clock.now(), by.name, "token.new", token.token_id, f"{name} ({role})"))
        return json_answer({**_shown(token), "token": text}, status=201)

    async def revoke(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.ADMIN)
        token_id = request.match_info["token_id"]
        await self._tokens.revoke(token_id)
        await self._tokens.audit(AuditRecord(self._clock.now(), by.name, "token.revoke", token_id))
        return json_answer({"revoked": True})


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "name": token.name,
        "role": token.role,
        "prefix": token.prefix,
        "created_s": token.created_s,
        "expires_s": token.expires_s,
        "used_s": token.last_used_s,
    }
