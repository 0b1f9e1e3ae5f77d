"""What a save finds on this machine: a file or a folder, item by item in the order of a tree.

Streams: no more than the names of one folder, and of those above it, are in memory. (Hence not `os.scandir`: each item needs an `lstat`
anyway, and a million names are five times smaller than its entries.) Links are items, never followed; only the source itself may be one.
What can't be kept (sockets, devices, names that are not Unicode) is reported and left out; what can't be *read* is an error: a save must
not silently lack files.
"""

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Never

import msgspec

from kist.engine.entries import MAX_PATH_BYTES, Kind
from kist.engine.ignore import IGNORE_FILE, Rules, is_ignored, parse_rules
from kist.errors import Denied, InvalidInput, NotFound, StoreError

__all__ = ["Item", "Skipped", "scan"]

Skipped = Callable[[str, str], None]
"""Called with the path and the reason for each thing that is left out without having been asked for."""

MAX_NAME_BYTES = 255
MAX_RULES_BYTES = 1 << 20
PERMISSIONS = 0o777
GONE = (FileNotFoundError, NotADirectoryError)


class Item(msgspec.Struct, frozen=True, gc=False):
    """Something found on this machine. `path` is relative to the source (empty: the source itself), `local` is where it lies.

    `size` is 0 unless it is a file; `mode` are the nine permission bits; a link has a `target`. Times are nanoseconds since 1970 UTC.
    (A msgspec struct: a frozen dataclass takes five times as long to make.)
    """

    path: str
    kind: Kind
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    mode: int
    target: str
    local: str

    def open(self) -> io.FileIO:
        """Open a file's content, unbuffered, as `descriptor` does."""
        return io.FileIO(self.descriptor(), "rb")

    def descriptor(self) -> int:
        """Open a file's content for `os.readv`. Whatever stands there by now is never followed if it is a link, and never waited for.

        The caller closes it. (Half the time of `open`, where a save reads 20,000 small files.)

        Raises:
            NotFound: it is gone, or is no file any more.
            Denied: this user may not read it.
            StoreError: the disk failed.
        """
        try:
            descriptor = os.open(self.local, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if stat.S_ISLNK(_mode_or_zero(self.local)):
                raise NotFound(f"{self.local} was a file and has become a link: save again") from error
            _raise_unreadable(self.local, error)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(f"{self.local} was a file and is none any more: save again")
        return descriptor


def scan(source: str | os.PathLike[str], *, ignore: Sequence[str] = (), skipped: Skipped) -> Iterator[Item]:
    """Find a file, or a folder with all below it, sorted by `kist.engine.entries.sort_key`: each folder right before its content.

    Args:
        source: a path on this machine; if it is a link, what it points to.
        ignore: gitignore patterns, stronger than those of the ``.kistignore`` files in the folders.
        skipped: told of each thing that can't be kept; what the patterns leave out is not reported.

    Raises:
        NotFound: the source does not exist.
        InvalidInput: the source is neither a file nor a folder, a ``.kistignore`` is none, or a pattern can't be read.
        Denied: something may not be read (also while iterating).
        StoreError: the disk failed (also while iterating).
    """
    if isinstance(ignore, str):
        raise InvalidInput(f"ignore takes a list of patterns, not one string: [{ignore!r}]")
    local = _real_path(source)
    found = os.lstat(local)
    if stat.S_ISREG(found.st_mode):
        return iter([_item("", "file", found.st_size, found, "", local)])
    if not stat.S_ISDIR(found.st_mode):
        raise InvalidInput(f"{local} is neither a file nor a folder: only those, and links in folders, can be saved")
    asked = parse_rules(ignore)
    try:
        names = os.listdir(local)
    except OSError as error:
        _raise_unreadable(local, error)
    return _walk(local, found, names, () if asked is None else (asked,), skipped)


def _walk(top: str, found: os.stat_result, names: list[str], asked: tuple[Rules, ...], skipped: Skipped) -> Iterator[Item]:
    """Walk depth first, without recursion: a tree may be 2,000 folders deep. The inner loop runs once per item of a save."""
    yield _item("", "folder", 0, found, "", top)
    lstat = os.lstat
    local, prefix = top.rstrip("/") + "/", ""
    rules = _rules_in(asked, (), names, local, prefix)
    remaining = _sound_names(names, prefix, skipped)
    above: list[tuple[str, str, tuple[Rules, ...], Iterator[str]]] = []
    while True:
        for name in remaining:
            path, here = prefix + name, local + name
            try:
                found = lstat(here)
                form = found.st_mode & 0o170000
                if rules and is_ignored(rules, path, folder=form == stat.S_IFDIR):
                    continue
                if form == stat.S_IFDIR:
                    names = os.listdir(here)
            except OSError as error:
                _skip_or_raise(path, here, error, skipped)
                continue
            if form == stat.S_IFREG:
                yield _item(path, "file", found.st_size, found, "", here)
            elif form == stat.S_IFDIR:
                break
            elif (item := _link(path, found, here, skipped)) is not None:
                yield item
        else:
            if not above:
                return
            local, prefix, rules, remaining = above.pop()
            continue
        yield _item(path, "folder", 0, found, "", here)
        above.append((local, prefix, rules, remaining))
        local, prefix = here + "/", path + "/"
        rules = _rules_in(asked, rules, names, local, prefix)
        remaining = _sound_names(names, prefix, skipped)


def _item(path: str, kind: Kind, size: int, found: os.stat_result, target: str, local: str) -> Item:  # noqa: PLR0917  keywords cost 5 %
    mode = found.st_mode & PERMISSIONS
    return Item(path, kind, size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, mode, target, local)


def _real_path(source: str | os.PathLike[str]) -> str:
    """Return the absolute path without links: the source may be one, and the working folder may change while we iterate."""
    asked = os.fspath(source)
    if not asked or "\0" in asked:
        raise InvalidInput(f"{asked!r} is no path on this machine: give the path of a file or a folder")
    try:
        os.stat(asked)
        return os.path.realpath(asked, strict=True)
    except OSError as error:
        if isinstance(error, GONE) and os.path.islink(asked.rstrip("/")):
            raise NotFound(f"{asked} is a link to {os.readlink(asked.rstrip('/'))}, which does not exist") from error
        _raise_unreadable(asked, error)


def _sound_names(names: list[str], prefix: str, skipped: Skipped) -> Iterator[str]:
    """Sort names, without those that no tree can hold: the plain string order is the order of the UTF-8 bytes."""
    names.sort()
    try:
        "".join(names).encode()
        prefix_bytes = len(prefix.encode())
    except UnicodeEncodeError:
        prefix_bytes = MAX_PATH_BYTES
    if prefix_bytes + MAX_NAME_BYTES <= MAX_PATH_BYTES:
        return iter(names)
    return _judged_names(names, prefix, skipped)


def _judged_names(names: list[str], prefix: str, skipped: Skipped) -> Iterator[str]:
    for name in names:
        path = prefix + name
        try:
            fits = len(path.encode()) <= MAX_PATH_BYTES
        except UnicodeEncodeError:
            skipped(path.encode(errors="surrogateescape").decode(errors="backslashreplace"), "its name is not valid UTF-8: rename it")
            continue
        if fits:
            yield name
        else:
            skipped(path, f"its path is longer than {MAX_PATH_BYTES} bytes: move it up or rename it")


def _link(path: str, found: os.stat_result, local: str, skipped: Skipped) -> Item | None:
    """Look at what is neither file nor folder: only a link can be kept."""
    if not stat.S_ISLNK(found.st_mode):
        skipped(path, "is a device, a socket or a pipe: these have no content to keep")
        return None
    try:
        target = os.readlink(local)
    except OSError as error:
        _skip_or_raise(path, local, error, skipped)
        return None
    try:
        target.encode()
    except UnicodeEncodeError:
        skipped(path, "its target is not valid UTF-8: make the link anew")
        return None
    return _item(path, "link", 0, found, target, local)


def _rules_in(asked: tuple[Rules, ...], outer: tuple[Rules, ...], names: list[str], local: str, prefix: str) -> tuple[Rules, ...]:
    """Return the rules that hold in a folder, the strongest first: what the caller asked, its own, those of the folders above."""
    own = parse_rules(_read_rules(local + IGNORE_FILE), prefix[:-1]) if IGNORE_FILE in names else None
    return (*asked, *(() if own is None else (own,)), *outer[len(asked) :])


def _read_rules(local: str) -> list[str]:
    """Read the lines of an ignore file. One that is there and can't be read is an error: what it should leave out may be secret."""
    try:
        descriptor = os.open(local, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        _raise_unreadable(local, error)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return []
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(MAX_RULES_BYTES + 1)
    if len(text) > MAX_RULES_BYTES:
        raise InvalidInput(f"{local} has more than {MAX_RULES_BYTES} bytes: it should hold patterns, one per line")
    # Names that are not UTF-8 are never saved, so a pattern for them may match nothing.
    return text.decode("utf-8-sig", errors="surrogateescape").split("\n")


def _mode_or_zero(local: str) -> int:
    try:
        return os.lstat(local).st_mode
    except OSError:
        return 0


def _skip_or_raise(path: str, local: str, error: OSError, skipped: Skipped) -> None:
    if isinstance(error, GONE):
        skipped(path, "vanished while its folder was read")
    elif error.errno == errno.ENAMETOOLONG:
        skipped(path, "its path is too long for this system: move it up or rename it")
    else:
        _raise_unreadable(local, error)


def _raise_unreadable(local: str, error: OSError) -> Never:
    if isinstance(error, GONE):
        raise NotFound(f"{local} does not exist") from error
    if isinstance(error, PermissionError):
        raise Denied(f"{local} may not be read by this user: change its permissions, or leave it out with an ignore pattern") from error
    raise StoreError(f"{local} can't be read: {error.strerror or error}") from error
