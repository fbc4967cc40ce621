"""Servers that tests need as Debian packages: installed when they are missing and this is root, as scripts/check does for chromium."""

import os
import shutil
import subprocess
from collections.abc import Sequence

_INSTALL_S = 600


def ensure(program: str, package: str, places: Sequence[str] = ()) -> None:
    """The program can be found (on the PATH or at one of the places); else install the package, or fail with what to do."""
    if _is_there(program, places):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise AssertionError(f"the tests need {program}; install it (Debian: apt-get install {package}) and run this again")
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL, "timeout": _INSTALL_S, "check": True}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], **quiet)
    assert _is_there(program, places), f"{package} brought no {program}"


def _is_there(program: str, places: Sequence[str]) -> bool:
    return shutil.which(program) is not None or any(os.access(place, os.X_OK) for place in places)
