"""What the hook path asks of Linux and macOS, by system calls alone: `os` would cost a seventh of a hook.

`append` is one `O_APPEND` write: lines of processes that write at once are neither lost nor mixed.
"""

import posix
import sys

assert sys.platform != "win32"

_MORE = 1 << 20


def environment(name: str) -> str:
    """The variable `name`, or "" without it."""
    return posix.environ.get(name.encode(), b"").decode("utf-8", "replace")


def user_folder() -> str:
    """The user's home folder, as the client finds it; "" when the environment does not say."""
    return environment("HOME")


def parent() -> int:
    return posix.getppid()


def read_stream(descriptor: int, limit: int) -> tuple[bytes, int]:
    """Everything up to the end of `descriptor`, and its length; of more than `limit` bytes only the front."""
    parts: list[bytes] = []
    total = 0
    while part := posix.read(descriptor, _MORE):
        if total < limit:
            parts.append(part)
        total += len(part)
    return b"".join(parts), total


def read_file(path: str, limit: int) -> bytes:
    """At most the first `limit` bytes of a regular file; OSError."""
    descriptor = _open_regular(path)
    try:
        return posix.read(descriptor, limit)
    finally:
        posix.close(descriptor)


def read_tail(path: str, limit: int) -> bytes:
    """At most the last `limit` bytes of a regular file; OSError."""
    descriptor = _open_regular(path)
    try:
        size = posix.fstat(descriptor).st_size
        posix.lseek(descriptor, max(0, size - limit), 0)
        return posix.read(descriptor, limit)
    finally:
        posix.close(descriptor)


def append(folder: str, name: str, line: bytes) -> None:
    """Adds `line` to `folder/name`; a missing folder and its parent are made, private. OSError."""
    path = f"{folder}/{name}"
    flags = posix.O_RDWR | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC
    try:
        descriptor = posix.open(path, flags, 0o600)
    except FileNotFoundError:
        make_folder(folder)
        descriptor = posix.open(path, flags, 0o600)
    try:
        _write(descriptor, line)
        # A writer that met a full disk left half a line, and this one was glued to it: the reader drops both, so say it
        # again. Looking before the write would see lines of others that are just being written.
        before = posix.lseek(descriptor, 0, 1) - len(line) - 1
        if before >= 0 and posix.pread(descriptor, 1, before) not in (b"\n", b""):
            _write(descriptor, line)
    finally:
        posix.close(descriptor)


def replace(folder: str, name: str, content: bytes) -> None:
    """Makes `folder/name` hold `content`: readers see the old content or the new, never half. OSError."""
    path = f"{folder}/{name}"
    draft = f"{path}.{posix.getpid()}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
    try:
        descriptor = posix.open(draft, flags, 0o600)
    except FileNotFoundError:
        make_folder(folder)
        descriptor = posix.open(draft, flags, 0o600)
    try:
        _write(descriptor, content)
    finally:
        posix.close(descriptor)
    posix.rename(draft, path)


def make_folder(folder: str) -> None:
    for place in (folder.rpartition("/")[0], folder):
        try:
            posix.mkdir(place, 0o700)
        except FileExistsError:
            pass


def remove(path: str) -> None:
    """Removes the file, if it is there and can be removed."""
    try:
        posix.unlink(path)
    except OSError:
        pass


def modified(path: str) -> float:
    """When the file was last written (epoch seconds), 0 without it."""
    try:
        return posix.stat(path).st_mtime
    except OSError:
        return 0.0


def present(path: str) -> bool:
    """Whether something lies at `path`, of whatever kind; OSError when that cannot be found out."""
    try:
        posix.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def keep(folder: str, name: str, content: bytes) -> None:
    """Writes the new file `folder/name`, private, and brings it to the disk with its name. OSError."""
    path = f"{folder}/{name}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    try:
        descriptor = posix.open(path, flags, 0o600)
    except FileNotFoundError:
        make_folder(folder)
        descriptor = posix.open(path, flags, 0o600)
    try:
        _write(descriptor, content)
        posix.fsync(descriptor)
    except BaseException:
        remove(path)
        raise
    finally:
        posix.close(descriptor)
    descriptor = posix.open(folder, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        posix.fsync(descriptor)
    finally:
        posix.close(descriptor)


def show(text: bytes, descriptor: int = 1) -> None:
    """Writes to standard output, or to another descriptor."""
    _write(descriptor, text)


def leave(code: int = 0) -> None:
    """Ends the process at once: everything was written by system calls, so there is nothing to flush."""
    posix._exit(code)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[posix.write(descriptor, data) :]


def _open_regular(path: str) -> int:
    # a path from outside may name a pipe or a device: neither wait for it nor read it
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
    if posix.fstat(descriptor).st_mode & 0o170000 != 0o100000:
        posix.close(descriptor)
        raise OSError(f"not a regular file: {path}")
    return descriptor
