"""A plan's file is replaced whole or not at all, and stays what it was in every other way."""

import os
import stat
from pathlib import Path

import pytest

from relay.control.plan_store import is_writable, write_new, write_over


def test_mode_and_link_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real/plan.json", tmp_path / "plan.json"
    write_new(file, b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    assert write_over(link, b"new") == b"old"
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == ["plan.json"]
    assert is_writable(link)


def test_what_is_not_there_is_not_made_by_replacing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_over(tmp_path / "none.json", b"")
    assert not is_writable(tmp_path / "none.json")
    assert not is_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_takes_nobodys_place(tmp_path: Path) -> None:
    write_new(tmp_path / "a/b.json", b"1")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a/b.json", b"2")
    assert (tmp_path / "a/b.json").read_bytes() == b"1"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_over(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["plan.json"]
