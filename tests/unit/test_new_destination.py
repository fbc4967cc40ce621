"""A destination from the template works at once: in a checkout and as a package of its own, which relay finds when it is installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cwd: Path, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def relay(*words: str, cwd: Path, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run("-m", "relay", *words, cwd=cwd, paths=paths)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What new-destination looks for, with relay's own code in it."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "relay", folder / "relay", ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests/destinations").mkdir(parents=True)
    return folder


def test_in_a_checkout_it_is_found_and_passes(checkout: Path) -> None:
    made = relay("new-destination", "acme-crm", "--json", cwd=checkout / "tests", paths=(checkout,))
    assert made.returncode == 0, made.stderr
    files: list[str] = json.loads(made.stdout)["files"]
    assert [Path(file).relative_to(checkout).as_posix() for file in files] == [
        *(f"relay/destinations/acme_crm/{name}" for name in ("__init__.py", "send.py", "cases.json", "README.md")),
        "tests/destinations/test_acme_crm.py",
    ]
    tried = relay("try", "--cases", "relay/destinations/acme_crm/cases.json", cwd=checkout, paths=(checkout,))
    assert tried.returncode == 0, tried.stderr
    tested = run("-m", "pytest", "-q", "tests/destinations/test_acme_crm.py", cwd=checkout, paths=(checkout,))
    assert tested.returncode == 0, tested.stdout
    for words in (("check",), ("format", "--check")):
        linted = run("-m", "ruff", *words, "relay/destinations/acme_crm", "tests", cwd=checkout)
        assert linted.returncode == 0, linted.stdout
    again = relay("new-destination", "acme-crm", cwd=checkout, paths=(checkout,))
    assert again.returncode == 73


@pytest.fixture
def package(tmp_path: Path) -> Path:
    made = relay("new-destination", "acme", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "relay-acme"


def test_outside_it_passes_before_it_is_installed(package: Path) -> None:
    tried = relay("try", "--definition", "relay_acme", "--cases", "relay_acme/cases.json", cwd=package)
    assert tried.returncode == 0, tried.stderr
    tested = run("-m", "pytest", "-q", cwd=package)
    assert tested.returncode == 0, tested.stdout
    assert relay("new-destination", "acme", cwd=package.parent).returncode == 73


def test_outside_it_is_found_once_it_is_installed(package: Path, tmp_path: Path) -> None:
    """What pip writes for an entry point, beside the package."""
    site = tmp_path / "site"
    shutil.copytree(package / "relay_acme", site / "relay_acme")
    info = site / "relay_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: relay-acme\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[relay.destinations]\nacme = relay_acme\n")
    told = relay("catalog", "acme", "--json", cwd=tmp_path, paths=(site,))
    assert told.returncode == 0, told.stderr
    one: dict[str, Any] = json.loads(told.stdout)
    assert one["actions"][0]["slug"] == "send"
    assert one["readme"].startswith("# Acme\n")


def test_what_came_out_can_be_accepted_as_the_expectation(package: Path) -> None:
    file = package / "relay_acme/cases.json"
    written = json.loads(file.read_text())
    expected = [case.pop("expect") for case in written]
    file.write_text(json.dumps(written))
    tried = relay("try", "--definition", "relay_acme", "--cases", "relay_acme/cases.json", "--accept", cwd=package)
    assert tried.returncode == 0, tried.stderr
    accepted = [case["expect"] for case in json.loads(file.read_text())]
    assert [one["outcome"] for one in accepted] == [one["outcome"] for one in expected]
    assert accepted[1]["deliveries"][0]["results"] == ["delivered", "dead"]
    written[0]["expect"] = expected[1]
    file.write_text(json.dumps(written))
    assert relay("try", "--definition", "relay_acme", "--cases", "relay_acme/cases.json", "--accept", cwd=package).returncode == 1
    assert json.loads(file.read_text())[0]["expect"] == expected[1]


@pytest.mark.parametrize("slug", ["Acme", "acme_crm", "-acme", "acme--crm", "9lives", "a" * 41])
def test_what_is_no_slug_is_wrong_usage(slug: str, tmp_path: Path) -> None:
    assert relay("new-destination", "--", slug, cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_slug_that_is_taken_is_refused(tmp_path: Path) -> None:
    refused = relay("new-destination", "slack", cwd=tmp_path)
    assert refused.returncode == 73
    assert "already" in refused.stderr
