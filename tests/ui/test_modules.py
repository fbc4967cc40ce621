"""Our browser modules: types by tsc, the pure ones by node's own test runner, and the rules that keep them readable and safe."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.ui_tools import ROOT, STATIC, Tools

OURS = sorted(path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html", ".svg"} and "vendor" not in path.parts)
MODULES = [path for path in OURS if path.suffix == ".js"]
MAX_LINES = 300
# What the files in vendor/ are, in the words of the packages' own types.
TYPES = {
    "preact": 'export * from "preact";',
    "preact-hooks": 'export * from "preact/hooks";',
    "htm": 'export { default } from "htm";',
    "signals": 'export * from "@preact/signals";',
    "uplot": 'export { default } from "uplot";',
}
OPTIONS = {
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "strict": True,
    "noUnusedLocals": True,
    "target": "es2023",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    "skipLibCheck": True,
}


def test_types(tools: Tools) -> None:
    """`tsc` reads a copy that lies beside `node_modules`, with the packages' types in the place of vendor/."""
    copy = tools.folder / "static"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(STATIC, copy, ignore=shutil.ignore_patterns("vendor", "package*.json", ".npmrc"))
    (copy / "vendor").mkdir()
    for name, text in TYPES.items():
        (copy / "vendor" / f"{name}.d.mts").write_text(text + "\n")
    (copy / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "include": ["**/*.js"]}))
    command = [str(tools.node), str(tools.folder / "node_modules/typescript/bin/tsc"), "-p", str(copy), "--pretty", "false"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pure_modules(tools: Tools) -> None:
    files = sorted(str(path) for path in Path(__file__).parent.glob("*.test.js"))
    done = subprocess.run([str(tools.node), "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(STATIC)))
def test_each_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) < MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(STATIC)))
def test_no_module_makes_markup_or_code_from_text(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|javascript:", text)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(STATIC)))
def test_no_file_asks_a_third_party(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"""(?:src|href|url|fetch|import|from|@import)\s*[=(]?\s*["'(]?https?://""", text)
