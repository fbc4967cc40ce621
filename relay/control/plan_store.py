"""The file of a plan, written whole or not at all: beside it, then renamed over it. Blocks: for a thread."""

import errno
import os
import tempfile
from pathlib import Path


def is_writable(path: Path) -> bool:
    """Whether a file can be replaced: it and its folder may be written."""
    target = Path(os.path.realpath(path))
    return target.is_file() and os.access(target, os.W_OK) and os.access(target.parent, os.W_OK)


def write_over(path: Path, content: bytes) -> bytes:
    """Put `content` in the place of what the file holds, and return that. Mode and owner stay; a link stays a link. Raises OSError."""
    target = Path(os.path.realpath(path))
    old, status = target.read_bytes(), target.stat()
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                _give(file.fileno(), status.st_uid, status.st_gid)
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return old


def _give(descriptor: int, user: int, group: int) -> None:
    """To whom the file belonged; only root can, and for others the file is theirs from now on."""
    try:
        os.fchown(descriptor, user, group)
    except PermissionError:
        return


def write_new(path: Path, content: bytes) -> None:
    """Make a file that is not there, and the folders above it. Raises FileExistsError or another OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
