"""The console of a whole relay, asked as the owner of the machine or with a token.

async with console(source(), tmp_path) as asked:
    await asked.put({"events": {"Spam": {"enabled": False}}})
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.app import Running, running
from tests.support.waiting import eventually


class Console:
    """Asks as the owner of the machine, or with a token."""

    def __init__(self, relay: Running, http: aiohttp.ClientSession) -> None:
        self.relay = relay
        self._http = http

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token or self.relay.app.cli_token}"}
        async with self._http.request(method, f"{self.relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def schema(self, slug: str = "web") -> Any:
        return await self.ask("GET", f"sources/{slug}/schema")

    async def event(self, name: str, slug: str = "web") -> Any:
        (found,) = [one for one in (await self.schema(slug))["events"] if one["name"] == name]
        return found

    async def put(self, body: Any, *, slug: str = "web", status: int = 200, token: str = "") -> Any:
        return await self.ask("PUT", f"sources/{slug}/schema", body, status=status, token=token)

    async def counted(self, count: int) -> Any:
        """The schema once so many events have passed the router."""

        async def check() -> Any:
            told = await self.schema()
            assert sum(one["count"] for one in told["events"]) == count, told["events"]
            return told

        return await eventually(check)


@asynccontextmanager
async def console(config: str, folder: Path, *, settings: Sequence[str] = ()) -> AsyncIterator[Console]:
    async with running(config, folder, settings=settings) as relay, aiohttp.ClientSession() as http:
        yield Console(relay, http)
