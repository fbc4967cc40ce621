"""One bucket: puts, lists and gets objects. The client is made when first needed; each failure is told as what it means for a destination."""

import asyncio
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, HTTPClientError, ReadTimeoutError

from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.kit.sink import SinkContext

CONNECT_S: Final = 10
ANSWER_S: Final = 30
WHOLE_S: Final = 120.0
"""Longest that one call may take, whatever happens within it."""
SAMPLE_CHARS: Final = 300
_RETRIED: Final = frozenset(
    ("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException", "BadDigest", "IncompleteBody",
     "OperationAborted", "RequestLimitExceeded", "BandwidthLimitExceeded", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch")
)  # fmt: skip


class Store:
    """The bucket of a destination; its methods raise Retryable or Misconfigured."""

    def __init__(self, settings: Mapping[str, Any], context: SinkContext) -> None:
        self._settings = settings
        self._connect = context.connect
        self._client: Any = None
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        prefix = str(settings.get("prefix") or "").strip("/")
        self.prefix = f"{prefix}/" if prefix else ""
        sse, key = settings.get("serverSideEncryption"), settings.get("kmsKeyId")
        self._encryption = ({"ServerSideEncryption": sse} if sse else {}) | ({"SSEKMSKeyId": key} if key else {})

    async def put(self, key: str, data: bytes) -> None:
        """Write an object (key without the prefix); returns after the store has said 200 to its checksum."""
        checksum = b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
        await self._call(
            "put_object", Key=self.prefix + key, Body=data, ContentType="application/x-ndjson", ChecksumCRC32=checksum, **self._encryption
        )

    async def get(self, key: str) -> bytes:
        """A whole object."""
        try:
            async with asyncio.timeout(WHOLE_S):
                client = await self._open()
                answer = await client.get_object(Bucket=self._settings["bucket"], Key=self.prefix + key)
                async with answer["Body"] as body:
                    data: bytes = await body.read()
                    return data
        except DeliveryError:
            raise
        except Exception as error:  # fence: whatever the library stumbles over, no event is given up for it
            raise meaning_of(error) from error

    async def delete(self, key: str) -> None:
        """Delete an object; one that is gone already is no error."""
        await self._call("delete_object", Key=self.prefix + key)

    async def keys(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Keys that begin so, in their order, and their sizes."""
        token: dict[str, str] = {}
        while True:
            answer = await self._call("list_objects_v2", Prefix=self.prefix + prefix, **token)
            for one in answer.get("Contents", ()):
                yield one["Key"].removeprefix(self.prefix), int(one["Size"])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def folders(self, prefix: str) -> list[str]:
        """The parts of keys between `prefix` and the next slash, in their order."""
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = await self._call("list_objects_v2", Prefix=self.prefix + prefix, Delimiter="/", **token)
            found += [one["Prefix"].removeprefix(self.prefix + prefix).rstrip("/") for one in answer.get("CommonPrefixes", ())]
            if not answer.get("IsTruncated"):
                return found
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def close(self) -> None:
        """Close the connections; calling it twice is harmless."""
        self._client = None
        with suppress(OSError, BotoCoreError):
            await self._stack.aclose()

    async def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(WHOLE_S):
                client = await self._open()
                answer: dict[str, Any] = await getattr(client, operation)(Bucket=self._settings["bucket"], **arguments)
                return answer
        except DeliveryError:
            raise
        except Exception as error:  # fence: whatever the library stumbles over, no event is given up for it
            raise meaning_of(error) from error

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                await self._ask_guard()
                self._client = await self._stack.enter_async_context(self._make())
        return self._client

    async def _ask_guard(self) -> None:
        """The library dials by itself, so an address of one's own is dialled once before, behind the guard."""
        if endpoint := self._settings.get("endpointUrl"):
            parts = urlsplit(endpoint)
            made = await self._connect(str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80))
            made.close()

    def _make(self) -> Any:
        settings = self._settings
        endpoint = settings.get("endpointUrl") or None
        path_style = settings["pathStyle"] if settings.get("pathStyle") is not None else endpoint is not None
        config = AioConfig(
            connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            retries={"total_max_attempts": 1},  # relay retries, and waits as its destination says
            s3={"addressing_style": "path" if path_style else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        secret = settings.get("secretAccessKey")
        return get_session().create_client(
            "s3",
            region_name=settings.get("region") or None,
            endpoint_url=endpoint,
            aws_access_key_id=settings.get("accessKeyId") or None,
            aws_secret_access_key=secret.reveal() if secret else None,
            config=config,
        )


def meaning_of(error: Exception) -> DeliveryError:
    """What a failed call means: try again, or a setting is wrong. An object is never one event's fault, so nothing is given up for it."""
    if isinstance(error, ClientError):
        return _of_answer(error)
    if isinstance(error, TimeoutError | ReadTimeoutError | ConnectTimeoutError):
        return Retryable("the store did not answer in time", code="ETIMEDOUT")
    if isinstance(error, HTTPClientError | OSError):
        return Retryable(f"the store cannot be reached: {str(error)[:SAMPLE_CHARS]}", code="ECONNRESET")
    if isinstance(error, RecursionError):  # the library follows a redirect to itself
        return Misconfigured("the store sends relay to another region, again and again; check region and endpoint_url")
    if not isinstance(error, BotoCoreError):
        return Retryable(f"the store gave a strange answer: {type(error).__name__}: {str(error)[:SAMPLE_CHARS]}", code="EPROTO")
    return Misconfigured(f"the store cannot be used with these settings: {str(error)[:SAMPLE_CHARS]}")


def _of_answer(error: ClientError) -> DeliveryError:
    told: Mapping[str, Any] = error.response
    code = str(told.get("Error", {}).get("Code", ""))
    status = int(told.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) or None
    said = f"{code}: {told.get('Error', {}).get('Message', '')}"[:SAMPLE_CHARS]
    if code in _RETRIED or status is None or status in (408, 425, 429) or (status >= 500 and status != 501):
        wait = str(told.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", ""))
        after_s = float(wait) if wait.isdecimal() else None
        return Retryable(f"the store asks for another try: {said}", code=str(status or "RETRY"), status=status, retry_after_s=after_s)
    return Misconfigured(f"the store refuses: {said}", code="credentials" if status in (401, 403) else "INVALID_SETTINGS", status=status)
