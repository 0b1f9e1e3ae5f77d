"""`open` for URLs: like the built-in one, but what is written appears at close, whole, or not at all."""

import io
import os
from collections.abc import Callable
from typing import IO, Literal, overload

from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Unsupported
from kist.stores.disk import Disk
from kist.stores.locations import Location, locate
from kist.stores.protocols import Create, ObjectMeta, Put, PutStream
from kist.stores.reading import open_reader
from kist.stores.transfers import parts_of
from kist.stores.writing import ObjectWriter, TextWriter, spool, spooled

__all__ = ["open", "open_writer"]

_SMALL_BYTES = 8 << 20
_KINDS = {frozenset(kind) for kind in ("r", "w", "a", "x", "r+", "w+", "a+", "x+")}

type BinaryMode = Literal["rb", "br", "wb", "bw", "ab", "ba", "xb", "bx", "r+b", "rb+", "w+b", "wb+", "a+b", "ab+", "x+b", "xb+"]
type TextMode = Literal["r", "rt", "w", "wt", "a", "at", "x", "xt", "r+", "r+t", "w+", "w+t", "a+", "a+t", "x+", "x+t"]


@overload
def open(  # noqa: A001
    url: str | os.PathLike[str],
    mode: BinaryMode,
    buffering: int = -1,
    encoding: None = None,
    errors: None = None,
    newline: None = None,
) -> io.BufferedIOBase: ...


@overload
def open(  # noqa: A001
    url: str | os.PathLike[str],
    mode: TextMode = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> io.TextIOWrapper: ...


@overload
def open(  # noqa: A001
    url: str | os.PathLike[str],
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> io.BufferedIOBase | io.TextIOWrapper: ...


def open(  # noqa: A001, PLR0917 - as the built-in one
    url: str | os.PathLike[str],
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> io.BufferedIOBase | io.TextIOWrapper:
    """Open what is at a URL, with the modes of the built-in `open`: text unless there is a ``b``.

    Reading is lazy and seekable, and sees one state of the file from beginning to end. What is written appears when the file is closed:
    before that, and after an exception in the ``with`` block, the URL holds what it held. Writing is seekable too.

    Args:
        url: a path or URL.
        mode: ``r``, ``w``, ``a``, ``x``, each with ``b``, ``t`` or ``+``.
        buffering: how many bytes a reader asks for at least; what is written is never seen before the end. 0 is refused for text.
        encoding: of text; UTF-8 unless said.
        errors: what to do with what can't be decoded or encoded.
        newline: as of `io.TextIOWrapper`.

    Raises:
        NotFound: there is nothing to read, or no folder to write to.
        AlreadyExists: the mode is ``x``, and something is there.
        InvalidInput: there is no such mode, or it does not go with the rest.
        Unsupported: this place can't be written.
        Conflict: at close, with ``a`` or ``r+``: somebody else has changed the file.
        StoreError: the store failed.
    """
    kind, text = _parse(mode, buffering, encoding, errors, newline)
    place = locate(url)
    if not place.key or place.as_folder:
        raise InvalidInput(f"{place.shown} names a folder, which can't be opened")
    if kind == "r":
        reader = open_reader(place.store, place.key, place.named, **({"buffer_bytes": buffering} if buffering > 1 else {}))
        return io.TextIOWrapper(reader, encoding or "utf-8", errors, newline) if text else reader
    writer = open_writer(place, kind, made=ObjectWriter)
    return TextWriter(writer, encoding or "utf-8", errors, newline) if text else writer


def _parse(mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None) -> tuple[str, bool]:
    """Return the kind of access, such as ``r`` or ``w+``, and whether it is to text."""
    signs = set(mode)
    if len(signs) != len(mode) or frozenset(signs - {"b", "t"}) not in _KINDS or {"b", "t"} <= signs:
        raise InvalidInput(f"{mode!r} is no mode: use r, w, a or x, with b for bytes, + for both reading and writing")
    text = "b" not in signs
    if not text and (encoding or errors or newline is not None):
        raise InvalidInput("encoding, errors and newline are for text: leave out the 'b', or them")
    if text and buffering == 0:
        raise InvalidInput("text can't be unbuffered: leave out buffering=0, or add a 'b'")
    letter = (signs & set("rwax")).pop()
    return letter + ("+" if "+" in signs else ""), text


def open_writer[W: ObjectWriter](place: Location, kind: str, *, made: Callable[..., W]) -> W:
    """Open an object for writing; `kind` is a mode without its ``b``, and `made` makes the file, as `ObjectWriter` does.

    Raises:
        KistError: as `open`.
    """
    if not isinstance(place.store, Put):
        raise Unsupported(f"{place.shown} can't be written: this kind of place is read-only")
    with place.named():
        before = place.store.head(place.key) if kind == "r+" else place.find()
    if kind[0] == "x" and before is not None:
        raise AlreadyExists(f"{place.shown} exists already")
    if isinstance(place.store, Disk) and not os.path.isdir(os.path.dirname(f"/{place.key}")):
        raise NotFound(f"there is no folder {os.path.dirname(f'/{place.key}')}: make it first")
    file = spool()
    if kind[0] in "ra" and before is not None:
        with place.named():
            for part in parts_of(place.store, before):
                file.write(part)
    if kind[0] == "r":
        file.seek(0)
    checked = kind[0] in "ra"

    def publish(written: IO[bytes]) -> None:
        if checked and _changed(place, before):
            raise Conflict(f"{place.shown} was changed by somebody else since it was opened: open it again")
        with place.named():
            _store(place, written, only_new=kind[0] == "x")

    return made(file, publish, name=place.url, readable="+" in kind, appends=kind[0] == "a")


def _changed(place: Location, before: ObjectMeta | None) -> bool:
    now = place.find()
    if now is None or before is None:
        return now is not before
    if now.etag:
        return now.etag != before.etag
    return (now.size_bytes, now.modified) != (before.size_bytes, before.modified)


def _store(place: Location, file: IO[bytes], *, only_new: bool) -> None:
    """Put what a spool holds to its place."""
    store = place.store
    size = file.seek(0, io.SEEK_END)
    if only_new and place.find() is not None:  # also where the store could tell: some take the condition and ignore it
        raise AlreadyExists(f"{place.shown} exists already")
    if only_new and isinstance(store, Create) and size <= _SMALL_BYTES:
        file.seek(0)
        store.create(place.key, file.read())
        return
    if size > _SMALL_BYTES and isinstance(store, PutStream):
        store.put_stream(place.key, spooled(file), size_bytes=size)
    elif isinstance(store, Put):
        file.seek(0)
        store.put(place.key, file.read())
