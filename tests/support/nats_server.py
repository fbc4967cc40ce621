"""A real nats-server with JetStream, and a client that reads what a stream holds.

async with NatsServer(tmp_path / "nats") as server:
    await server.add_stream("events", "events.>")
    ...
    assert len(await server.messages("events")) == 3
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from tests.support.daemon import Daemon, program


class NatsServer(Daemon):
    """`authorization`: the inside of that block of the server's configuration; `user`: how this client logs in."""

    def __init__(self, folder: Path, *, authorization: str = "", user: dict[str, Any] | None = None, extra: str = "") -> None:
        super().__init__(folder)
        self._authorization = authorization
        self._user = user or {}
        self._extra = extra
        self._client: Client | None = None

    def command(self) -> Sequence[str]:
        config = self.folder / "nats.conf"
        text = f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.folder / "data"}" }}\n{self._extra}\n'
        config.write_text(text + (f"authorization {{ {self._authorization} }}\n" if self._authorization else ""))
        return [program("nats-server"), "-c", str(config)]

    async def add_stream(self, name: str, *subjects: str, **options: Any) -> None:
        await (await self._jetstream()).add_stream(name=name, subjects=list(subjects), **options)

    async def count(self, name: str) -> int:
        """Messages in a stream; 0 when there is none."""
        try:
            return int((await (await self._jetstream()).stream_info(name)).state.messages)
        except NotFoundError:
            return 0

    async def messages(self, name: str) -> list[Msg]:
        """All messages of a stream, in its order."""
        count = await self.count(name)
        messages: list[Msg] = []
        if count:
            config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, max_ack_pending=1_000_000)
            found = await (await self._jetstream()).pull_subscribe("", stream=name, config=config)
            while len(messages) < count:
                messages += await found.fetch(min(500, count - len(messages)), timeout=5)
        return messages

    async def _jetstream(self) -> JetStreamContext:
        """One connection for all questions: a relay that is down while many are made could lose its port to one of them."""
        if self._client is None or not self._client.is_connected:
            self._client = await nats.connect(f"nats://{self.address}", allow_reconnect=False, **self._user)
        return self._client.jetstream()

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()
        self.stop()
