"""Promises of the data folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.database import folder
from relay.database.folder import DataFolder
from relay.errors import ConfigError, LockedError, StoreError


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_and_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path / "a" / "data") as data:
        assert (mode(data.path), mode(data.token), mode(data.lock)) == (0o700, 0o600, 0o600)
        assert data.database == tmp_path / "a" / "data" / "relay.db"
        assert data.archive.name == "archive"
        data.database.touch()
        assert mode(data.database) == 0o600
        assert data.free_bytes() > 0


def test_the_token_is_new_at_each_start_and_gone_after_the_stop(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path / "data") as data:
        first = data.token.read_text()
        assert first == data.token_text
        assert len(first) >= 43
    assert not data.token.exists()
    with DataFolder.open(tmp_path / "data") as data:
        assert data.token.read_text() != first


def test_a_second_process_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    code = f"from pathlib import Path\nfrom relay.database.folder import DataFolder\nDataFolder.open(Path({str(tmp_path / 'data')!r}))"
    with DataFolder.open(tmp_path / "data") as data:
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)
        assert "LockedError" in second.stderr
        assert f"pid {os.getpid()}" in second.stderr
        assert data.token.read_text() == data.token_text
        with pytest.raises(LockedError):
            DataFolder.open(tmp_path / "data")
    third = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)
    assert third.returncode == 0, third.stderr


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        DataFolder.open(tmp_path / "file" / "data")
    assert "\n" not in caught.value.message


MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/share\040one rw - nfs4 host:/x rw
31 22 0:27 / /mnt/ssh rw - fuse.sshfs host: rw
32 22 0:28 / /mnt/over rw - ext4 /dev/vdb rw
33 22 0:29 / /mnt/over rw shared:9 master:2 - cifs //host/x rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/relay", "ext4", False),
        ("/mnt/share one/data", "nfs4", True),
        ("/mnt/ssh", "fuse.sshfs", True),
        ("/mnt/sshx", "ext4", False),
        ("/mnt/over/data", "cifs", True),
    ],
)
def test_the_file_system_under_a_path_is_told(path: str, kind: str, network: bool) -> None:
    assert folder.kind_in(MOUNTS, Path(path)) == kind
    assert folder.is_network(kind) is network


def test_a_network_file_system_is_refused_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("1 1 0:1 / / rw - nfs4 host:/x rw\n")
    monkeypatch.setattr(folder, "MOUNTS", mounts)
    with pytest.raises(ConfigError, match="allow_network_fs"):
        DataFolder.open(tmp_path / "data")
    with DataFolder.open(tmp_path / "data", allow_network_fs=True):
        pass
