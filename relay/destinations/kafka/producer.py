"""The driver of Kafka behind the address guard: every broker's address is looked at before it is connected to.

The driver dials itself, so unlike elsewhere the guard cannot hand it the very connection that it has checked.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, SaslAuthenticationFailed, TopicAuthorizationFailedError

from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.kit.sink import Connect

STEP_S: Final = 10.0
"""Longest wait for an answer of a broker."""
TRIES: Final = 5
TRY_S: Final = 0.5
"""How often, and how long, relay waits for a topic to be made."""
MESSAGES_EACH: Final = 500
"""Fewest messages of a partition that are looked at."""
BATCH_BYTES: Final = 262_144
"""Most bytes of one partition's messages in one request."""

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # relay tells itself of what fails


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the brokers are, and how relay logs in."""

    brokers: tuple[tuple[str, int], ...]
    is_tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    mechanism: str = ""
    """Of SASL; empty: no login."""
    username: str = ""
    password: str = field(default="", repr=False)
    compression: str = ""
    message_bytes: int = 1_000_000

    def options(self) -> dict[str, Any]:
        """Of a connection. Raises Misconfigured when a file cannot be read."""
        options: dict[str, Any] = {"client_id": "relay", "request_timeout_ms": int(STEP_S * 1000)}
        options["security_protocol"] = ("SASL_" if self.mechanism else "") + ("SSL" if self.is_tls else "PLAINTEXT")
        if self.mechanism:
            options |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.username, "sasl_plain_password": self.password}
        if self.is_tls:
            try:
                options["ssl_context"] = context = ssl.create_default_context(cafile=self.ca_file or None)
                if self.certificate_file:
                    context.load_cert_chain(self.certificate_file, self.key_file)
            except OSError as error:
                raise Misconfigured("ca_file, certificate_file or key_file cannot be used") from error
        return options


class Guard:
    """Stands between a client of the driver and the brokers; `refusal` is what it has last refused."""

    def __init__(self, client: Any, dial: Connect) -> None:
        self.refusal: Misconfigured | None = None
        self._client = client
        self._dial = dial
        self._connect = client._get_conn
        client._get_conn = self._guarded

    async def _guarded(self, node_id: Any, **options: Any) -> Any:
        """In the place of the client's own: None is its answer for a broker that cannot be reached."""
        if not any(each == node_id and found.connected() for (each, _), found in self._client._conns.items()):
            broker = self._client.cluster.broker_metadata(node_id)
            try:
                if broker is not None:
                    await _look(self._dial, broker.host, broker.port)
            except Misconfigured as refusal:
                self.refusal = refusal
                return None
            except Retryable:
                self._client.force_metadata_update()
                return None
        return await self._connect(node_id, **options)


class Producer:
    """A started producer."""

    def __init__(self, cluster: Cluster, broker: str, dial: Connect) -> None:
        """`broker`: one that has taken relay in."""
        self._options = {"bootstrap_servers": broker, **cluster.options()}
        self._dial = dial
        compression = cluster.compression or None
        self.inner = AIOKafkaProducer(
            acks="all", compression_type=compression, max_request_size=cluster.message_bytes, max_batch_size=BATCH_BYTES, **self._options
        )
        self.guard = Guard(self.inner.client, dial)

    @staticmethod
    async def start(cluster: Cluster, dial: Connect) -> "Producer":
        """Raises DeliveryError, KafkaError or OSError when no broker can be used."""
        host, port = await _first(cluster, cluster.options(), dial)
        producer = Producer(cluster, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", dial)
        try:
            await producer.inner.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def knows(self, topic: str) -> bool:
        """Whether there is a topic, which the brokers may make when they are asked. Raises Retryable when no broker tells."""
        client = self.inner.client
        if client.cluster.partitions_for_topic(topic) is not None:
            return True
        client.add_topic(topic)
        told = False
        for _ in range(TRIES):
            told = await client.force_metadata_update() or told
            if client.cluster.partitions_for_topic(topic) is not None:
                return True
            if topic in client.cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(topic)
            if self.guard.refusal:
                raise self.guard.refusal
            await asyncio.sleep(TRY_S)
        if not told:
            raise Retryable("no broker answers", code="ECONNREFUSED")
        return False

    async def last(self, topic: str, messages: int) -> list[Any]:
        """The headers of about so many of the last messages of a topic, over all partitions. Raises KafkaError, or Misconfigured."""
        partitions = [TopicPartition(topic, number) for number in self.inner.client.cluster.partitions_for_topic(topic) or ()]
        consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **self._options)
        guard = Guard(consumer._client, self._dial)
        found: list[Any] = []
        try:
            await consumer.start()
            consumer.assign(partitions)
            starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            each = max(messages // max(1, len(partitions)), MESSAGES_EACH)
            for partition in partitions:
                consumer.seek(partition, max(starts[partition], ends[partition] - each))
            most = 2 * each * len(partitions)  # others may write meanwhile, without end
            while len(found) < most and (page := await consumer.getmany(timeout_ms=int(TRY_S * 1000))):
                found += [message.headers for some in page.values() for message in some]
            if len(found) < most and any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                raise guard.refusal or KafkaTimeoutError()
        finally:
            await consumer.stop()
        return found

    async def stop(self) -> None:
        """Give up what is not sent and close the connections."""
        self.inner._message_accumulator.fail_all(KafkaConnectionError("relay has given up"))
        try:
            async with asyncio.timeout(STEP_S):
                await self.inner.stop()
        except (KafkaError, OSError):
            return


async def _first(cluster: Cluster, options: dict[str, Any], dial: Connect) -> tuple[str, int]:
    """The first broker that takes relay in. The producer itself would not say why none does."""
    failure: DeliveryError | KafkaError | OSError | None = None
    for host, port in cluster.brokers:
        try:
            await _look(dial, host, port)
            connection = await create_conn(host, port, **options)
            connection.close()
        except (DeliveryError, KafkaError, OSError) as error:
            failure = failure or error
        except (KeyError, ValueError):  # the driver expects of a SCRAM login only the answer that takes it (RFC 5802, 7: `e=`)
            if not cluster.mechanism.startswith("SCRAM"):
                raise
            failure = failure or SaslAuthenticationFailed("the login is refused")
        else:
            return host, port
    raise failure or Misconfigured("there are no brokers")


async def _look(dial: Connect, host: str, port: int) -> None:
    made = await dial(host, port)
    made.close()
