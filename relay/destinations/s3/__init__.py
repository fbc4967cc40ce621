"""Amazon S3, or any store that speaks its protocol: events as compressed lines of JSON in objects. Needs the extra relay[s3]."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.members import GZIP, ZSTD, has_zstd
from relay.kit.sink import EVERY_CALL, Archive, Sink, SinkContext

_CODECS = {"gzip": GZIP, "zstd": ZSTD}
LARGEST_BYTES = 64 * 1024 * 1024
LONGEST_S = 3600


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    from relay.destinations.s3.sink import ObjectSink
    from relay.destinations.s3.store import Store

    return ObjectSink(Store(settings, context), _CODECS[settings["compression"]], context)


def _open_archive(settings: dict[str, Any], context: SinkContext) -> Archive:
    from relay.destinations.s3.reader import ObjectArchive
    from relay.destinations.s3.store import Store

    return ObjectArchive(Store(settings, context), context.source_slugs)


def _adapt(action: Action, settings: Mapping[str, Any]) -> Action:
    return replace(action, batch_bytes=int(settings["flushBytes"]), linger_ms=int(settings["flushSeconds"]) * 1000)


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if find_spec("aiobotocore") is None:
        problems.append(Problem("the library for S3 is not installed", None, "pip install 'relay[s3]'"))
    if settings.get("compression") == "zstd" and not has_zstd():
        problems.append(Problem("the library for zstd is not installed", None, "pip install 'relay[zstd]'"))
    if bool(settings.get("accessKeyId")) != bool(settings.get("secretAccessKey")):
        problems.append(Problem("access_key_id and secret_access_key belong together", None, "set both, or none to use what the machine offers"))
    if settings.get("kmsKeyId") and settings.get("serverSideEncryption") != "aws:kms":
        problems.append(Problem("kms_key_id needs server_side_encryption = 'aws:kms'"))
    endpoint = settings.get("endpointUrl")
    if endpoint and not _is_origin(endpoint):
        problems.append(Problem(f"endpoint_url: '{endpoint}' is no address of a store", None, "write it like https://s3.example.com"))
    for name, most in (("flushBytes", LARGEST_BYTES), ("flushSeconds", LONGEST_S)):
        if not 1 <= int(settings.get(name) or 0) <= most:
            problems.append(Problem(f"{name} must be between 1 and {most}"))
    return problems


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_good and not (parts.username or parts.query or parts.fragment)


DEFINITION = Definition(
    slug="s3",
    name="Amazon S3",
    description="Keeps every event in objects of an S3 bucket, or of any store that speaks its protocol: one JSON message per line.",
    mode="storage",
    settings=(
        Setting("bucket", "Bucket", required=True),
        Setting("prefix", "Prefix", help="What every object's name begins with, for example relay/production."),
        Setting("region", "Region", default="us-east-1"),
        Setting("endpointUrl", "Endpoint", help="Of another store than Amazon's: https://minio.example.com:9000."),
        Setting(
            "pathStyle", "Path style", "boolean", help="The bucket in the path instead of the host name. Left out: yes with an endpoint of your own."
        ),
        Setting("accessKeyId", "Access key id", help="Left out: the credentials that the machine offers (environment, profile, role)."),
        Setting("secretAccessKey", "Secret access key", secret=True),
        Setting("serverSideEncryption", "Encryption", choices=("AES256", "aws:kms"), help="Left out: as the bucket says."),
        Setting("kmsKeyId", "KMS key", help="With aws:kms; left out: the account's default key."),
        Setting("compression", "Compression", default="gzip", choices=tuple(_CODECS), help="zstd needs the extra relay[zstd]."),
        Setting("flushBytes", "Bytes per object", "integer", default=16_777_216, help="An object is written at this size, before compression."),
        Setting("flushSeconds", "Seconds per object", "integer", default=60, help="Or when its first event has waited so long."),
    ),
    actions={
        "write": Action(
            "write",
            "Write",
            description="Collects events and writes them as one object for each source and hour.",
            default_trigger=EVERY_CALL,
            batch_size=1_000,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "write", EVERY_CALL),),
    check=_check,
    open_sink=_open,
    open_archive=_open_archive,
    adapt=_adapt,
)
