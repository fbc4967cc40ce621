"""A real HTTP server that speaks S3 (moto's), in a process of its own on a free port, with nothing kept between tests."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiobotocore.session import get_session

from tests.support.process import free_ports
from tests.support.waiting import eventually

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "not-a-secret"
BUCKET = "events"


class Moto:
    """The server's address, and a client of its own to look at what relay wrote."""

    def __init__(self, port: int, client: Any) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = client

    @property
    def settings(self) -> dict[str, Any]:
        """What a destination needs to reach it."""
        return {"bucket": BUCKET, "endpoint_url": self.url, "access_key_id": KEY, "secret_access_key": SECRET}

    async def keys(self) -> list[str]:
        found, token = [], {}
        while True:
            answer = await self.client.list_objects_v2(Bucket=BUCKET, **token)
            found += [one["Key"] for one in answer.get("Contents", ())]
            if not answer["IsTruncated"]:
                return found
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def get(self, key: str) -> tuple[bytes, Mapping[str, Any]]:
        answer = await self.client.get_object(Bucket=BUCKET, Key=key)
        return await answer["Body"].read(), answer


@asynccontextmanager
async def moto() -> AsyncIterator[Moto]:
    """Started, with the bucket made; stopped by its pid."""
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHONPATH"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await eventually(lambda: _answers(port), 30)
        client = get_session().create_client(
            "s3", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=KEY, aws_secret_access_key=SECRET
        )
        async with client as opened:
            await opened.create_bucket(Bucket=BUCKET)
            yield Moto(port, opened)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


async def _answers(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/moto-api/") as answer:
            return answer.status < 500
    except aiohttp.ClientError:
        return False
