"""Tracking plans: what they say, what traffic makes of them, and changes of them."""

from typing import Any, Final

from aiohttp import web

from relay.access.operator import Role
from relay.base.clock import Clock
from relay.control.infer import Infer
from relay.control.plans import ACTIONS, Plans
from relay.errors import PlanError, Problem, RequestError
from relay.web.auth import allowed
from relay.web.console.events import visible
from relay.web.console.reading import flag_of, number_of, read_object, refuse_unknown, text_of
from relay.web.respond import json_answer

HOURS: Final = 24
PLAN_MAX_BYTES: Final = 16 * 1_048_576
"""A plan of 2,000 rules is larger than what other requests hold."""
INFER_S: Final = 7 * 86_400.0
PUT: Final = frozenset(("content", "dry_run"))
DECIDE: Final = frozenset(("action", "event", "type", "field"))
"""And `dry_run`: what would change."""
INFER: Final = frozenset(("source", "since_s", "plan"))


class PlanRoutes:
    """`GET plans`, `GET|PUT plans/{slug}`, `GET plans/{slug}/violations|drift|history`, `POST plans/{slug}/rules`, `POST plans/infer`."""

    def __init__(self, plans: Plans, infer: Infer, clock: Clock) -> None:
        self._plans = plans
        self._infer = infer
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/plans", self.ls),
            web.post("/ui/api/plans/infer", self.infer),
            web.get("/ui/api/plans/{slug}", self.plan),
            web.put("/ui/api/plans/{slug}", self.put),
            web.get("/ui/api/plans/{slug}/violations", self.violations),
            web.get("/ui/api/plans/{slug}/drift", self.drift),
            web.get("/ui/api/plans/{slug}/history", self.history),
            web.post("/ui/api/plans/{slug}/rules", self.decide),
        ]

    async def ls(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer({"plans": await self._plans.ls()})

    async def plan(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(await self._plans.detail(request.match_info["slug"]))

    async def violations(self, request: web.Request) -> web.Response:
        """`?hours=24|168|720`."""
        by = allowed(request, Role.VIEWER)
        hours = int(number_of(request.query, "hours", HOURS))
        return json_answer(visible(await self._plans.violations(request.match_info["slug"], hours), by, ("value",)))

    async def drift(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(await self._plans.drift(request.match_info["slug"]))

    async def history(self, request: web.Request) -> web.Response:
        """`?since=&until=`: two versions that are compared; without them, all changes."""
        allowed(request, Role.VIEWER)
        since, until = (int(number_of(request.query, name)) for name in ("since", "until"))
        if bool(since) != bool(until):
            raise RequestError(400, "bad_request", "Name both versions: ?since=3&until=5.")
        return json_answer(await self._plans.history(request.match_info["slug"], since, until))

    async def put(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.ADMIN)
        given = await read_object(request.clone(client_max_size=PLAN_MAX_BYTES))
        refuse_unknown(given, PUT)
        content = given.get("content")
        if not isinstance(content, dict):
            raise RequestError(400, "bad_request", 'content must be an object: {"rules": [...]}.')
        try:
            return json_answer(await self._plans.put(request.match_info["slug"], content, by, dry_run=flag_of(given, "dry_run")))
        except PlanError as error:
            return _refused(error)

    async def decide(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, DECIDE | {"dry_run"})
        order = {name: text_of(given, name) for name in DECIDE}
        if order["action"] not in ACTIONS:
            raise RequestError(400, "bad_request", f"action must be one of {', '.join(ACTIONS)}.")
        if not (order["event"] or order["field"]):
            raise RequestError(400, "bad_request", "Name the event, the field or both.")
        return json_answer(await self._plans.decide(request.match_info["slug"], order, by, dry_run=flag_of(given, "dry_run")))

    async def infer(self, request: web.Request) -> web.Response:
        """Reads only; for operators, since examples of values come with it."""
        allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, INFER)
        if not (source := text_of(given, "source")):
            raise RequestError(400, "bad_request", "Name the source.")
        since_s = number_of(given, "since_s", self._clock.now() - INFER_S)
        return json_answer(await self._infer.infer(source, since_s, text_of(given, "plan")))


def _refused(error: PlanError) -> web.Response:
    problems = [_problem(at, problem) for at, problem in error.mistakes]
    return json_answer({"error": {"code": "bad_plan", "message": error.message, "problems": problems}}, status=400)


def _problem(at: str, problem: Problem) -> dict[str, Any]:
    place = problem.place
    told = {"message": problem.message, "at": at, "remedy": problem.remedy}
    return told | {"line": place.line if place else 0, "column": place.column if place else 0}
