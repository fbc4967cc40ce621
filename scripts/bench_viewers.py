"""Viewers of the live rows, in a process of their own: each but a stalled one acknowledges what it gets and checks that nothing is missing or double.

Says `{"ready": n}` once all snapshots are there, and what they saw when it is told to end.
"""

import asyncio
import json
import os
import re
import sys
from typing import Any

import aiohttp
import orjson
import uvloop

PROTOCOL = "relay.live.v1"
CHECKED = 3
"""So many viewers look at every row; the others only acknowledge, or they would need the machine for themselves."""
_SEQ = re.compile(r'"seq":(\d+)}$')


class Viewer:
    """One viewer. The ids of events are the seqs of the log, so a gap shows."""

    def __init__(self, *, stalled: bool, checks: bool) -> None:
        self.stalled = stalled
        self.checks = checks
        self.ready = asyncio.Event()
        self.closed = False
        self.rows = self.doubles = self.dropped = self.patches = self.last = self.skipped = 0

    async def run(self, session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(url, protocols=[PROTOCOL], compress=15, max_msg_size=0) as socket:
            await socket.send_str(json.dumps({"t": "subscribe", "id": 1, "filter": {"all": []}, "limit": 1}))
            async for frame in socket:
                text: str = frame.data
                if not self.checks and text.startswith('{"t":"rows"') and (found := _SEQ.search(text)):
                    await socket.send_str(f'{{"t":"ack","seq":{found[1]}}}')
                    continue
                message = orjson.loads(text)
                kind = message["t"]
                if kind == "snapshot":
                    self.last = max((int(row["event_id"][1:]) for row in message["rows"]), default=0)
                    self.ready.set()
                elif kind == "rows":
                    self._take(message["rows"])
                    if not self.stalled:
                        await socket.send_str(json.dumps({"t": "ack", "seq": message["seq"]}))
                elif kind == "patch":
                    self.patches += len(message["rows"])
                elif kind == "drops":
                    self.dropped = message["total"]
        self.closed = True

    def _take(self, rows: list[dict[str, Any]]) -> None:
        self.rows += len(rows)
        for row in rows:
            number = int(row["event_id"][1:])
            self.doubles += number <= self.last
            self.skipped += max(0, number - self.last - 1)
            self.last = max(self.last, number)


async def main() -> None:
    os.nice(10)  # the viewers are browsers on other machines: their own work must not take the cores of what is measured
    spec = json.loads(sys.argv[2])
    viewers = [Viewer(stalled=number < spec["stalled"], checks=number < CHECKED) for number in range(spec["count"])]
    headers = {"Authorization": f"Bearer {spec['token']}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(viewer.run(session, f"{spec['ui']}/ui/api/live")) for viewer in viewers]
        for viewer in viewers:
            await viewer.ready.wait()
        print(json.dumps({"ready": len(viewers)}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        reading = [viewer for viewer in viewers if viewer.checks and not viewer.stalled]
        told = {
            "rows": min((viewer.rows for viewer in reading), default=0),
            "patches": sum(viewer.patches for viewer in reading),
            "doubles": sum(viewer.doubles for viewer in viewers),
            "missing": sum(max(0, viewer.skipped - viewer.dropped) for viewer in reading),
            "dropped": sum(viewer.dropped for viewer in reading),
            "dropped_stalled": sum(viewer.dropped for viewer in viewers if viewer.stalled),
            "closed": sum(viewer.closed for viewer in viewers),
        }
        print(json.dumps(told), flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


if __name__ == "__main__":
    uvloop.run(main())
