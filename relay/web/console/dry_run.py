"""A dry run of a change before it is saved."""

from typing import Final

from aiohttp import web

from relay.access.operator import Role
from relay.control.dry_runs import DryRuns
from relay.errors import RequestError
from relay.web.auth import allowed
from relay.web.console.events import visible
from relay.web.console.reading import number_of, read_object, refuse_unknown, text_of
from relay.web.respond import json_answer

ORDER: Final = frozenset(("changes", "since_s", "destination"))


class DryRunRoutes:
    """`POST diff` `{changes, since_s, destination?}`, `GET diff/{id}`, `DELETE diff/{id}`."""

    def __init__(self, dry_runs: DryRuns) -> None:
        self._dry_runs = dry_runs

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/ui/api/diff", self.start),
            web.get("/ui/api/diff/{id}", self.tell),
            web.delete("/ui/api/diff/{id}", self.cancel),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """`since_s`: unix time; `changes`: as `workspace.candidate` reads them; a mistake in them is 400 with `problems`, each with its place."""
        allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, ORDER)
        changes = given.get("changes")
        if not isinstance(changes, dict):
            raise RequestError(400, "bad_request", "changes must be an object.")
        return json_answer(await self._dry_runs.start(changes, number_of(given, "since_s"), text_of(given, "destination")), status=202)

    async def tell(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.VIEWER)
        return json_answer(visible(self._dry_runs.tell(request.match_info["id"]), by))

    async def cancel(self, request: web.Request) -> web.Response:
        """It stops within moments; what was counted so far stays to be seen."""
        allowed(request, Role.OPERATOR)
        return json_answer(await self._dry_runs.cancel(request.match_info["id"]))
