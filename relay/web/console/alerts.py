"""Alerts: what fires and what was; mute and test."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.alerting import Alerting
from relay.errors import RequestError
from relay.web.auth import allowed
from relay.web.console.reading import number_of, read_object, refuse_unknown, text_of
from relay.web.respond import json_answer


class AlertRoutes:
    """`GET alerts`, `POST alerts/{id}/mute` {hours}, `POST alerts/test` {destination?}."""

    def __init__(self, alerting: Alerting) -> None:
        self._alerting = alerting

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/alerts", self.view),
            web.post("/ui/api/alerts/test", self.test),
            web.post("/ui/api/alerts/{alert_id}/mute", self.mute),
        ]

    async def view(self, request: web.Request) -> web.Response:
        allowed(request, Role.VIEWER)
        return json_answer(await self._alerting.view())

    async def mute(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, frozenset(("hours",)))
        if "hours" not in given:
            raise RequestError(400, "bad_request", "hours is missing; 0 ends a mute.")
        return json_answer(await self._alerting.mute(_id(request.match_info["alert_id"]), number_of(given, "hours"), by))

    async def test(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, frozenset(("destination",)))
        return json_answer(await self._alerting.test(text_of(given, "destination"), by))


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RequestError(404, "not_found", "There is no such alert.")
    return int(text)
