"""A version as one file: tar, gzipped tar or zip. Streams in one pass, and the same entries always give the same bytes.

Nothing of this machine or moment gets in: no user, no time of writing, no name of the gzip file, no trace of how content came in pieces.
Modes, links and empty folders are kept; times to the nanosecond in tar, to the second in zip. What comes out of a repository is checked
again, so that no name in an archive leads outside the folder that it is unpacked in. An archive that failed lacks its end, so that no tool
takes it for whole.
"""

import gzip
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Buffer, Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, Protocol

from kist.engine.destination import PERMISSIONS, Content, checked, name_path
from kist.engine.entries import Entry, check_path
from kist.errors import IntegrityError, InvalidInput, KistError

__all__ = ["Format", "Sink", "export_tar", "export_zip", "format_of"]

Format = Literal["tar", "tar.gz", "zip"]

BLOCK_BYTES = 1 << 18
COMPRESSION_LEVEL = 6
NANOSECONDS = 1_000_000_000
DOS_SECONDS = tuple(int(datetime(*day, tzinfo=UTC).timestamp()) for day in ((1980, 1, 1), (2107, 12, 31)))
UNIX_TIMES = range(-(1 << 31), 1 << 31)
FORMS = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK}
TAR_TYPES = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
_SUFFIXES: dict[str, Format] = {".tar": "tar", ".tar.gz": "tar.gz", ".tgz": "tar.gz", ".zip": "zip"}
_ABSOLUTE_ON_WINDOWS = re.compile(r"\\|[A-Za-z]:")
_SEPARATORS_ON_WINDOWS = re.compile(r"[/\\]")


class Sink(Protocol):
    """Where an archive goes: written from front to back, never closed by us."""

    def write(self, data: Buffer, /) -> int | None:
        """Write; return how many bytes were taken if that may be fewer."""
        ...


def format_of(file_name: str) -> Format:
    """Return which archive a file name asks for.

    Raises:
        InvalidInput: none that we write.
    """
    for suffix, form in _SUFFIXES.items():
        if file_name.lower().endswith(suffix):
            return form
    raise InvalidInput(f"{file_name!r} names no archive that kist writes: end it in {', '.join(_SUFFIXES)}")


def export_tar(entries: Iterable[tuple[Entry, Content]], fileobj: Sink, *, gzip: bool, top: str) -> None:
    """Write a POSIX (pax) tar.

    Args:
        entries: in tree order; one pass.
        fileobj: where to.
        gzip: whether to compress.
        top: the folder in the archive that holds everything, or the name of a single item; empty: none.

    Raises:
        InvalidInput: the entries are no tree that can be unpacked safely.
        IntegrityError: content has another size than its entry says.
        Exception: what `entries`, the content and `fileobj` raise. Whatever is raised, the archive then has no end.
    """
    whole = _Forward(fileobj)
    if not gzip:
        for block in _even(_tar(entries, top)):
            whole.write(block)
        return
    with _gzip_file(whole) as packed:
        try:
            for block in _even(_tar(entries, top)):
                packed.write(block)
        except BaseException:
            whole.stop()
            raise


def export_zip(entries: Iterable[tuple[Entry, Content]], fileobj: Sink, *, top: str) -> None:
    r"""Write a zip, with ZIP64 where it is needed; arguments and errors as for `export_tar`.

    Names that some unpacker would take for a path outside (``..\x``, ``C:x``) are refused: a tar takes them.

    Raises:
        InvalidInput: the entries are no tree that can be unpacked safely.
        IntegrityError: content has another size than its entry says.
        Exception: what `entries`, the content and `fileobj` raise. Whatever is raised, the archive then has no end.
    """
    whole = _Forward(fileobj)
    # `_Forward` can't seek: so sizes always follow the data, and a file gives the same bytes as a network stream.
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]  # needs only write and flush
        try:
            for name, entry, content in _named(entries, top):
                info = _zip_info(name, entry)
                if entry.kind == "folder":
                    archive.mkdir(info)
                    continue
                pieces = (entry.target.encode(),) if entry.kind == "link" else _sized(entry, content)
                with archive.open(info, "w") as file:
                    for block in _even(pieces):
                        file.write(block)
        except BaseException:
            whole.stop()
            raise


class _Forward:
    """Hands on all bytes, and can be told to stop: the standard library writes the end of an archive even after an error."""

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink

    def stop(self) -> None:
        self._sink = None

    def write(self, data: Buffer) -> int:
        rest = memoryview(data)
        while self._sink is not None and rest:
            taken = self._sink.write(rest)
            rest = rest[len(rest) if taken is None else taken :]
        return len(memoryview(data))

    def flush(self) -> None:
        """Do nothing: `zipfile` wants it."""


def _gzip_file(whole: _Forward) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", fileobj=whole, compresslevel=COMPRESSION_LEVEL, mtime=0)


def _named(entries: Iterable[tuple[Entry, Content]], top: str) -> Iterator[tuple[str, Entry, Content]]:
    """Give each entry its name in the archive."""
    check_path(top, root=True)
    for entry, content in checked(entries):
        name = f"{top}/{entry.path}" if top and entry.path else top or entry.path
        if name:
            yield name, entry, content
        elif entry.kind != "folder":
            raise InvalidInput(f"a single {entry.kind} needs a name in the archive: give `top`")


def _sized(entry: Entry, content: Content) -> Iterator[Buffer]:
    """Pass on the content of a file if it has the size that is written before it."""
    size_bytes = 0
    try:
        for piece in content():
            size_bytes += memoryview(piece).nbytes
            if size_bytes > entry.size:
                break
            yield piece
        if size_bytes != entry.size:
            raise IntegrityError(f"it should have {entry.size} bytes, its content has {size_bytes} or more: run `kist verify`")
    except KistError as error:
        name_path(error, entry.path)
        raise


def _even(pieces: Iterable[Buffer]) -> Iterator[Buffer]:
    """Cut a stream anew into equal blocks: some zlibs pack the same bytes differently when they come in other pieces."""
    block = bytearray()
    for piece in pieces:
        rest = memoryview(piece).cast("B")
        while len(block) + len(rest) >= BLOCK_BYTES:
            missing = BLOCK_BYTES - len(block)
            block += rest[:missing]
            rest = rest[missing:]
            yield block
            block = bytearray()
        block += rest
    if block:
        yield block


def _tar(entries: Iterable[tuple[Entry, Content]], top: str) -> Iterator[Buffer]:
    size_bytes = 0
    for name, entry, content in _named(entries, top):
        header = _tar_info(name, entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
        yield header
        size_bytes += len(header)
        if entry.kind == "file":
            yield from _sized(entry, content)
            padding = bytes(-entry.size % tarfile.BLOCKSIZE)
            yield padding
            size_bytes += entry.size + len(padding)
    end_bytes = 2 * tarfile.BLOCKSIZE
    yield bytes(end_bytes + -(size_bytes + end_bytes) % tarfile.RECORDSIZE)


def _tar_info(name: str, entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = TAR_TYPES[entry.kind]
    info.mode = entry.mode & PERMISSIONS
    info.linkname = entry.target
    info.size = entry.size if entry.kind == "file" else 0
    info.mtime, fraction = divmod(entry.mtime_ns, NANOSECONDS)
    if fraction:
        seconds, fraction = divmod(abs(entry.mtime_ns), NANOSECONDS)
        info.pax_headers = {"mtime": f"{'-' if entry.mtime_ns < 0 else ''}{seconds}.{fraction:09d}"}
    return info


def _zip_info(name: str, entry: Entry) -> zipfile.ZipInfo:
    if _ABSOLUTE_ON_WINDOWS.match(name) or ".." in _SEPARATORS_ON_WINDOWS.split(name):
        raise InvalidInput(f"{name!r} in a zip would lead outside on Windows: export a .tar.gz")
    seconds = entry.mtime_ns // NANOSECONDS
    first, last = DOS_SECONDS
    clamped = datetime.fromtimestamp(min(max(seconds, first), last), UTC)
    folder = entry.kind == "folder"
    info = zipfile.ZipInfo(f"{name}/" if folder else name, clamped.timetuple()[:6])
    info.create_system = 3
    info.compress_type = zipfile.ZIP_STORED if folder else zipfile.ZIP_DEFLATED
    info.external_attr = (FORMS[entry.kind] | entry.mode & PERMISSIONS) << 16 | (0x10 if folder else 0)
    info.file_size = entry.size if entry.kind == "file" else 0
    if seconds in UNIX_TIMES:
        # "Extended timestamp": the only time in a zip that means the same in every time zone.
        info.extra = struct.pack("<HHBi", 0x5455, 5, 1, seconds)
    if folder:
        info.CRC = info.compress_size = 0
    return info
