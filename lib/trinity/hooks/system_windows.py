"""What the hook path asks of Windows. There is no atomic append: a line is written under a lock of its file."""

import msvcrt
import os
import stat
import sys

assert sys.platform == "win32"

_MORE = 1 << 20
# far behind any line, so that readers, who do not lock, are not kept out
_LOCKED_BYTE = 1 << 40


def environment(name: str) -> str:
    """The variable `name`, or "" without it."""
    return os.environ.get(name, "")


def user_folder() -> str:
    """The user's home folder, as the client finds it (a HOME of Git's shell does not count); "" when unknown."""
    return environment("USERPROFILE")


def parent() -> int:
    return os.getppid()


def read_stream(descriptor: int, limit: int) -> tuple[bytes, int]:
    """Everything up to the end of `descriptor`, and its length; of more than `limit` bytes only the front."""
    parts: list[bytes] = []
    total = 0
    while part := os.read(descriptor, _MORE):
        if total < limit:
            parts.append(part)
        total += len(part)
    return b"".join(parts), total


def read_file(path: str, limit: int) -> bytes:
    """At most the first `limit` bytes of a regular file; OSError."""
    _check_regular(path)
    with open(path, "rb") as file:
        return file.read(limit)


def read_tail(path: str, limit: int) -> bytes:
    """At most the last `limit` bytes of a regular file; OSError."""
    size = _check_regular(path)
    with open(path, "rb") as file:
        file.seek(max(0, size - limit))
        return file.read(limit)


def append(folder: str, name: str, line: bytes) -> None:
    """Adds `line` to `folder/name`; a missing folder and its parent are made. OSError."""
    path = os.path.join(folder, name)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_BINARY | os.O_NOINHERIT
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        make_folder(folder)
        descriptor = os.open(path, flags, 0o600)
    try:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        try:
            # A writer that met a full disk left half a line: end it, or this line is lost with it.
            size = os.fstat(descriptor).st_size
            if size:
                os.lseek(descriptor, size - 1, os.SEEK_SET)
                if os.read(descriptor, 1) != b"\n":
                    line = b"\n" + line
            while line:
                line = line[os.write(descriptor, line) :]
        finally:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    finally:
        os.close(descriptor)


def replace(folder: str, name: str, content: bytes) -> None:
    """Makes `folder/name` hold `content`: readers see the old content or the new, never half. OSError."""
    make_folder(folder)
    path = os.path.join(folder, name)
    draft = f"{path}.{os.getpid()}"
    with open(draft, "wb") as file:
        file.write(content)
    os.replace(draft, path)


def make_folder(folder: str) -> None:
    for place in (os.path.dirname(folder), folder):
        try:
            os.mkdir(place)
        except FileExistsError:
            pass


def remove(path: str) -> None:
    """Removes the file, if it is there and can be removed."""
    try:
        os.unlink(path)
    except OSError:
        pass


def modified(path: str) -> float:
    """When the file was last written (epoch seconds), 0 without it."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def present(path: str) -> bool:
    """Whether something lies at `path`, of whatever kind; OSError when that cannot be found out."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def keep(folder: str, name: str, content: bytes) -> None:
    """Writes the new file `folder/name` and brings it to the disk. OSError."""
    make_folder(folder)
    path = os.path.join(folder, name)
    with open(path, "xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            remove(path)
            raise


def show(text: bytes, descriptor: int = 1) -> None:
    """Writes to standard output, or to another descriptor."""
    while text:
        text = text[os.write(descriptor, text) :]


def leave(code: int = 0) -> None:
    """Ends the process at once: everything was written by system calls, so there is nothing to flush."""
    os._exit(code)


def _check_regular(path: str) -> int:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"not a regular file: {path}")
    return found.st_size
