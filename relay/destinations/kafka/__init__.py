"""Kafka: each event as one message of a topic, on all in-sync replicas before it counts as delivered. Needs the extra relay[kafka]."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from relay.base.secret import reveal
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.sink import EVERY_CALL, Sink, SinkContext
from relay.kit.stream import host_and_port, name_problems, server_problems

PORT = 9092
MECHANISMS = ("none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    from relay.destinations.kafka.producer import Cluster
    from relay.destinations.kafka.sink import KafkaSink

    cluster = Cluster(
        brokers=tuple(host_and_port(broker, PORT) for broker in settings["brokers"]),
        is_tls=settings["security"] == "tls",
        ca_file=settings.get("caFile") or "",
        certificate_file=settings.get("certificateFile") or "",
        key_file=settings.get("keyFile") or "",
        mechanism="" if settings["saslMechanism"] == "none" else settings["saslMechanism"],
        username=settings.get("username") or "",
        password=reveal(settings.get("password")),
        compression="" if settings["compression"] == "none" else settings["compression"],
        message_bytes=int(settings["maxMessageBytes"]),
    )
    return KafkaSink(cluster, settings["topic"], context)


def _is_topic(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) is not None and text not in (".", "..")


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = server_problems("brokers", settings.get("brokers") or (), f"kafka.example.com:{PORT}")
    if find_spec("aiokafka") is None:
        problems.append(Problem("the library for Kafka is not installed", None, "pip install 'relay[kafka]'"))
    problems += name_problems("topic", str(settings.get("topic") or ""), _is_topic)
    has_login = bool(settings.get("username") and settings.get("password"))
    if has_login != (settings.get("saslMechanism") != "none"):
        problems.append(Problem("sasl_mechanism, username and password belong together", None, "set all three, or none"))
    if bool(settings.get("certificateFile")) != bool(settings.get("keyFile")):
        problems.append(Problem("certificate_file and key_file belong together", None, "set both, or none"))
    if settings.get("security") != "tls" and (settings.get("certificateFile") or settings.get("caFile")):
        problems.append(Problem("ca_file and certificate_file need security = 'tls'"))
    if int(settings.get("maxMessageBytes") or 0) < 1:
        problems.append(Problem("max_message_bytes must be at least 1"))
    return problems


DEFINITION = Definition(
    slug="kafka",
    name="Kafka",
    description="Sends every event to a topic of a Kafka cluster.",
    mode="storage",
    settings=(
        Setting("brokers", "Brokers", "list", required=True, help="host:9092; the first that answers tells of the others."),
        Setting("topic", "Topic", required=True, help="May hold {source}, {type} and {event}."),
        Setting("security", "Security", default="plain", choices=("plain", "tls"), help="tls checks the brokers' certificates."),
        Setting("caFile", "CA file", help="Certificates (PEM) to trust instead of the system's."),
        Setting("certificateFile", "Certificate file", help="relay's own certificate (PEM), where the brokers ask for one."),
        Setting("keyFile", "Key file", help="Its private key (PEM)."),
        Setting("saslMechanism", "SASL mechanism", default="none", choices=MECHANISMS),
        Setting("username", "User name"),
        Setting("password", "Password", secret=True),
        Setting("compression", "Compression", default="none", choices=("none", "gzip")),
        Setting(
            "maxMessageBytes",
            "Bytes of a message",
            "integer",
            default=1_000_000,
            help="Larger ones are dead letters; not above the brokers' own limit.",
        ),
    ),
    actions={
        "send": Action(
            "send",
            "Send",
            description="Sends the event's JSON, with the user's id as its key, and waits for all in-sync replicas.",
            default_trigger=EVERY_CALL,
            batch_size=256,
            batch_bytes=2_000_000,
            linger_ms=5,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "send", EVERY_CALL),),
    check=_check,
    open_sink=_open,
)
