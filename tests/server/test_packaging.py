"""What people install: the wheel, the service unit, the container file, the two commands of a fresh folder."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built as pip builds it, with the build requirements that the development tools already brought."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("relay-*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture
def build_ui() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_ui", ROOT / "scripts/build_ui.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheel_holds_what_a_running_relay_reads(wheel: zipfile.ZipFile, build_ui: ModuleType) -> None:
    names = wheel.namelist()
    for name in build_ui.FILES:
        assert f"relay/web/static/vendor/{name}" in names
        assert f"relay/web/static/vendor/{name}.LICENSE.txt" in names
    assert {"relay/web/static/index.html", "relay/web/static/app.js", "relay/web/static/app.css", "relay/web/static/pages/live.js"} <= set(names)
    assert [name for name in names if name.startswith("relay/database/schema/") and name.endswith(".sql")]
    assert "relay/__main__.py" in names
    assert {f"relay/cli/template/{path.name}" for path in (ROOT / "relay/cli/template").iterdir()} <= set(names)
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "relay/destinations").glob("*/README.md")} <= set(names)
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "relay/workspace/templates").glob("*.json")} <= set(names)


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name} == {"relay"}
    assert not [name for name in wheel.namelist() if re.search(r"package(-lock)?\.json|\.npmrc|node_modules|__pycache__", name)]


def test_the_wheel_installs_the_relay_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "relay = relay.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()


def test_the_script_is_the_pinned_client_ready_to_be_told_its_write_key(wheel: zipfile.ZipFile) -> None:
    script = wheel.read("relay/web/static/vendor/analytics.min.js").decode()
    assert "__WRITE_KEY__" in script
    assert "1.84.3" in script
    assert "sourceMappingURL" not in script


def test_the_modules_in_the_wheel_import_only_their_neighbours(wheel: zipfile.ZipFile) -> None:
    vendor = "relay/web/static/vendor/"
    modules = {name.removeprefix(vendor): wheel.read(name).decode() for name in wheel.namelist() if name.startswith(vendor) and name.endswith(".mjs")}
    imported = {name for text in modules.values() for name in re.findall(r"""\bfrom\s*["']([^"']+)["']""", text)}
    assert imported == {"./preact.mjs", "./preact-hooks.mjs", "./signals-core.mjs"}
    assert not [name for name, text in modules.items() if "sourceMappingURL" in text]


def test_what_only_the_tests_use_is_not_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    assert not [name for name in wheel.namelist() if re.search(r"axe|typescript|\.d\.[mc]?ts$", name)]


def test_each_file_carries_its_own_licence(wheel: zipfile.ZipFile) -> None:
    def licence(name: str) -> str:
        return wheel.read(f"relay/web/static/vendor/{name}.LICENSE.txt").decode()

    assert licence("htm.mjs").startswith("htm 3.1.1\n")
    assert "Apache License" in licence("htm.mjs")
    assert licence("preact.mjs").startswith("preact 11.2.0\n")
    assert "@lukeed/uuid" in licence("analytics.min.js")
    assert "preact" not in licence("analytics.min.js")


def test_a_second_build_with_the_same_lock_file_needs_neither_node_nor_network(
    build_ui: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = tmp_path / "static"
    shutil.copytree(ROOT / "relay/web/static", static)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/")
    assert build_ui.build(static) is False


def test_a_registry_that_cannot_be_reached_is_one_clear_line(build_ui: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static = tmp_path / "static"
    shutil.copytree(ROOT / "relay/web/static", static, ignore=shutil.ignore_patterns("vendor"))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(build_ui.BuildFailed, match=r"^the npm registry cannot be reached \(ECONNREFUSED\)[^\n]*$"):
        build_ui.build(static)
    assert not (static / "vendor").exists()


def test_lock_files_pin_every_package_by_hash_and_name_no_registry() -> None:
    for path in (ROOT / "relay/web/static/package-lock.json", ROOT / "tests/sdk/package-lock.json"):
        text = path.read_text()
        assert text.count('"integrity": "sha512-') == text.count('"node_modules/')
        assert '"resolved"' not in text


def test_the_import_contracts_name_only_modules_that_exist() -> None:
    # The tool passes over a forbidding module that it cannot find, so a renamed one would be out of the contract without a word.
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    lists = [contract.get(key, []) for contract in contracts for key in ("source_modules", "forbidden_modules", "modules")]
    named = {name.removesuffix(".*") for names in lists for name in names if name.startswith("relay.")}
    assert named
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []


UNIT = ROOT / "conf/systemd/relay.service"


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "WatchdogSec=30",
        "ExecStart=relay serve --config /etc/relay/relay.toml --data /var/lib/relay",
        "Restart=on-failure",
        "RestartSec=2",
        "RestartPreventExitStatus=78",
        "TimeoutStopSec=45",
        "DynamicUser=yes",
        "StateDirectory=relay",
        "LoadCredential=ui_token",
        "UMask=0077",
        "LimitNOFILE=65536",
        "MemoryMax=1G",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectControlGroups=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "RestrictNamespaces=yes",
        "LockPersonality=yes",
        "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=@system-service",
    ],
)
def test_the_service_unit_keeps_its_promises(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def test_the_service_unit_checks_the_configuration_before_it_starts() -> None:
    assert re.search(r"^ExecStartPre=relay check --quiet", UNIT.read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_has_no_remark_on_the_service_unit(tmp_path: Path) -> None:
    # The command need not be installed on the machine that runs the tests: any program stands in for it.
    copy = tmp_path / "relay.service"
    copy.write_text(re.sub(r"^(Exec\w+=)relay ", r"\1/bin/true ", UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "USER 10001",
        "VOLUME /var/lib/relay",
        "STOPSIGNAL SIGTERM",
        'ENTRYPOINT ["relay"]',
        'CMD ["serve", "--data", "/var/lib/relay"]',
    ],
)
def test_the_container_file_keeps_its_promises(line: str) -> None:
    assert line in (ROOT / "conf/container/Dockerfile").read_text().splitlines()


def test_the_container_file_copies_only_what_exists_and_asks_relay_for_its_health() -> None:
    text = (ROOT / "conf/container/Dockerfile").read_text()
    assert 'CMD ["relay", "health"]' in text
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert [word for word in copied if not (ROOT / word).exists()] == []


@pytest.mark.parametrize("script", ["scripts/serve", "scripts/check", ".ci/run"])
def test_the_commands_are_executable_and_sound(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(path)], timeout=10).returncode == 0


def test_a_missing_python_is_said_plainly(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    environment = {"PATH": str(tools), "RELAY_VENV": str(tmp_path / "venv")}
    done = subprocess.run([str(tools / "bash"), str(ROOT / "scripts/serve")], env=environment, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stdout == ""
