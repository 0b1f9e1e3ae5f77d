"""`copy`, `move` and `sync` between any two places: many files at once, bounded memory, and nothing half done."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import BinaryIO

from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound, SameFile, Unsupported
from kist.models import Copied
from kist.storage.pairs import differing, everything
from kist.storage.places import Url, is_folder, level, remove
from kist.storage.working import Progress, Work, silent
from kist.stores.disk import Disk
from kist.stores.locations import Location, locate
from kist.stores.protocols import Batch, Delete, Folders, Move, Put, PutStream, Together, Where
from kist.stores.transfers import parts_of

__all__ = ["copy", "copy_async", "move", "sync", "sync_async"]

PIECE_BYTES = 4 << 20

type Place = Url | BinaryIO


def copy(
    src: Place,
    dst: Place,
    recursive: bool = False,  # noqa: FBT001, FBT002 - as everybody's `copy` has it
    *,
    overwrite: bool = True,
    progress: Progress = silent,
) -> Copied:
    """Copy a file, or with `recursive` a folder, to anywhere. The target is complete and right, or as it was.

    Within one service nothing passes through this machine. A big transfer that was interrupted goes on where it was.

    Args:
        src: a path, a URL, or a binary file object.
        dst: where; into it, under the name of the source, if it is a folder or ends in ``/``. The folder above must exist on this machine.
        recursive: copy a folder with all that is in it; under its own name if `dst` is one that exists, unless `src` ends in ``/``.
        overwrite: replace files that are there; else one file raises, and of a folder those that are there are skipped.
        progress: is told how many files and how many bytes were done since its last call.

    Raises:
        NotFound: there is no such source, or no folder for the target.
        SameFile: they are the same.
        AlreadyExists: there is something and `overwrite` is not set.
        InvalidInput: the source is a folder and `recursive` is not set, or the target lies in it.
        Unsupported: the target is read-only.
        IntegrityError: what arrived is not what was sent; the target is as it was.
        StoreError: a store failed; its message names the URL.
    """
    if not isinstance(src, str | os.PathLike):
        return _from_file(src, dst, progress)
    source = locate(src)
    if not isinstance(dst, str | os.PathLike):
        return _to_file(source, dst, progress)
    target = locate(dst)
    meta = source.find()
    if meta is None:
        return _copy_folder(source, target, recursive=recursive, overwrite=overwrite, progress=progress)
    target = _inside(source, target)
    _refuse_same(source, target)
    if not overwrite and target.find() is not None:
        raise AlreadyExists(f"{target.shown} exists already")
    work = Work(progress)
    work.one(source, meta, target)
    return work.copied()


def move(src: Url, dst: Url, *, progress: Progress = silent) -> Copied:
    """Move a file or folder to anywhere; the source goes when the target is complete. Where the store can, it is a renaming.

    Raises:
        NotFound: there is no such source, or no folder for the target.
        SameFile: they are the same.
        AlreadyExists: a folder would be replaced.
        Conflict: the source has changed meanwhile; it is still there.
        Unsupported: one of them is read-only.
        StoreError: a store failed; the source is still there.
    """
    source, target = locate(src), locate(dst)
    meta = source.find()
    if not isinstance(source.store, Delete):
        raise Unsupported(f"{source.shown} can't be removed: this kind of place is read-only")
    if meta is None and not is_folder(source):
        raise NotFound(f"there is nothing at {source.shown}")
    if target.as_folder or is_folder(target):
        target = target.below(source.name)
    _refuse_same(source, target)
    _refuse_inside(source, target)
    if meta is None and is_folder(target):
        raise AlreadyExists(f"the folder {target.shown} exists already")
    if source.store is target.store and isinstance(source.store, Move):
        try:
            source.store.move(source.key, target.key)
        except Unsupported:
            pass
        else:
            progress(1, meta.size_bytes if meta else 0)
            return Copied(files=1, bytes=meta.size_bytes if meta else 0, server_side=1)
    work = Work(progress)
    before = [meta] if meta else list(source.store.list(source.prefix))
    if meta is not None:
        work.one(source, meta, target)
    else:
        with ExitStack() as stack:
            _copy_below(source, _batched(target, stack, f"Move from {source.shown}"), work, overwrite=True)
    if before != ([source.find()] if meta else list(source.store.list(source.prefix))):
        raise Conflict(
            f"{source.shown} has changed while it was moved to {target.shown}: nothing was removed; look at both, and move it again"
        )
    remove(src, recursive=meta is None)
    return work.copied()


def sync(
    src: Url,
    dst: Url,
    delete: bool = False,  # noqa: FBT001, FBT002 - as everybody's `sync` has it
    *,
    checksum: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Copied:
    """Make a folder hold what another holds; only what differs is copied, and with `delete` what the source lacks goes.

    A file counts as unchanged if it is as long as the source's and not older, or with `checksum` if its bytes are the same. Nothing is
    deleted before all is copied.

    Raises:
        NotFound: there is no such folder, or the whole store is empty, and all at the target would be deleted.
        InvalidInput: one lies in the other.
        Unsupported: the target is read-only.
        StoreError: a store failed; what was copied before stays.
    """
    source, target = locate(src), locate(dst)
    if not is_folder(source):
        raise NotFound(f"there is no folder {source.shown}" + (": copy copies single files" if source.find() else ""))
    _refuse_same(source, target)
    _refuse_inside(source, target)
    _refuse_inside(target, source)
    work = Work(progress, dry_run=dry_run)
    with ExitStack() as stack:
        target = _batched(target, stack, f"Sync from {source.shown}", dry_run=dry_run)
        if not dry_run:
            _make_folder(target)
        extra: list[Location] = []
        work.many(differing(source, target, work, extra, checksum=checksum))
        if delete:
            _refuse_emptying(source, target, work, extra)
            work.delete(target, extra)
    return work.copied()


async def copy_async(src: Place, dst: Place, recursive: bool = False, *, overwrite: bool = True, progress: Progress = silent) -> Copied:  # noqa: FBT001, FBT002
    """Do what `copy` does, beside other tasks of an event loop; `progress` is called from another thread.

    Raises:
        KistError: as `copy`.
    """
    import asyncio  # noqa: PLC0415 - whoever waits here has it, and nobody else needs it

    return await asyncio.to_thread(copy, src, dst, recursive, overwrite=overwrite, progress=progress)


async def sync_async(
    src: Url,
    dst: Url,
    delete: bool = False,  # noqa: FBT001, FBT002
    *,
    checksum: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Copied:
    """Do what `sync` does, beside other tasks of an event loop; `progress` is called from another thread.

    Raises:
        KistError: as `sync`.
    """
    import asyncio  # noqa: PLC0415 - whoever waits here has it, and nobody else needs it

    return await asyncio.to_thread(sync, src, dst, delete, checksum=checksum, dry_run=dry_run, progress=progress)


def _copy_folder(source: Location, target: Location, *, recursive: bool, overwrite: bool, progress: Progress) -> Copied:
    if not is_folder(source):
        raise NotFound(f"there is nothing at {source.shown}")
    if not recursive:
        raise InvalidInput(f"{source.shown} is a folder: to copy it with all that is in it, say so (recursive=True, kist cp --recursive)")
    if not source.as_folder and source.key and (target.as_folder or is_folder(target)):
        target = target.below(source.name)
    _refuse_same(source, target)
    _refuse_inside(source, target)
    work = Work(progress)
    with ExitStack() as stack:
        _copy_below(source, _batched(target, stack, f"Copy from {source.shown}"), work, overwrite=overwrite)
    return work.copied()


def _copy_below(source: Location, target: Location, work: Work, *, overwrite: bool) -> None:
    _make_folders(source, target)
    work.many(everything(source, target, work, overwrite=overwrite))


def _from_file(file: BinaryIO, dst: Place, progress: Progress) -> Copied:
    if not isinstance(dst, str | os.PathLike):
        raise InvalidInput("two file objects are copied by shutil.copyfileobj: name a path or URL for one of them")
    target = locate(dst)
    if target.as_folder or is_folder(target):
        raise InvalidInput(f"{target.shown} is a folder, and a file object has no name: add one")
    done = 0

    def parts() -> Iterator[bytes]:
        nonlocal done
        while part := file.read(PIECE_BYTES):
            if not isinstance(part, bytes | bytearray | memoryview):
                raise InvalidInput("a source must give bytes: open the file in binary mode")
            yield part
            done += len(part)
            progress(0, len(part))

    with target.named():
        if isinstance(target.store, PutStream):
            target.store.put_stream(target.key, parts())
        elif isinstance(target.store, Put):
            target.store.put(target.key, b"".join(parts()))
        else:
            raise Unsupported(f"{target.shown} can't be written: this kind of place is read-only")
    progress(1, 0)
    return Copied(files=1, bytes=done)


def _to_file(source: Location, file: BinaryIO, progress: Progress) -> Copied:
    done = 0
    with source.named():
        for part in parts_of(source.store, source.store.head(source.key)):
            file.write(part)
            done += len(part)
            progress(0, len(part))
    progress(1, 0)
    return Copied(files=1, bytes=done)


def _inside(source: Location, target: Location) -> Location:
    """Return where a file goes: into a folder it goes under its own name."""
    if target.as_folder or is_folder(target):
        return target.below(source.name.partition("?")[0] or "index")
    return target


def _refuse_same(source: Location, target: Location) -> None:
    same = _where(source) == _where(target)
    if not same and isinstance(source.store, Disk) and isinstance(target.store, Disk):
        try:
            same = os.path.samefile(f"/{source.key}", f"/{target.key}")
        except OSError:
            same = False
    if same:
        raise SameFile(f"{source.shown} and {target.shown} are the same")


def _refuse_inside(source: Location, target: Location) -> None:
    if f"{_where(target)}/".startswith(f"{_where(source).rstrip('/')}/"):
        raise InvalidInput(f"{target.shown} lies in {source.shown}: choose a place outside")


def _where(place: Location) -> str:
    """Return where a place is, in one spelling."""
    return place.store.where(place.key) if isinstance(place.store, Where) else f"{id(place.store)}/{place.key}"


def _refuse_emptying(source: Location, target: Location, work: Work, extra: list[Location]) -> None:
    """Refuse to delete all because a store lists nothing: a server that is none, such as a web page at the address, seems empty too."""
    if extra and not work.files and not work.skipped and not isinstance(source.store, Folders):
        raise NotFound(f"{source.shown} is empty, so all in {target.shown} would be deleted: if that is right, remove it yourself")


def _batched(target: Location, stack: ExitStack, message: str, *, dry_run: bool = False) -> Location:
    """Let all changes of a place take effect at once, or be made durable at once, where it can."""
    if dry_run:
        return target
    if isinstance(target.store, Batch):
        return replace(target, store=stack.enter_context(target.store.batch(message)))
    if isinstance(target.store, Together):
        return replace(target, store=stack.enter_context(target.store.together()))
    return target


def _make_folder(target: Location) -> None:
    if isinstance(target.store, Folders) and target.key:
        if isinstance(target.store, Disk) and not os.path.isdir(os.path.dirname(f"/{target.key}")):
            raise NotFound(f"there is no folder {os.path.dirname(f'/{target.key}')}: make it first")
        target.store.make_folder(target.key)


def _make_folders(source: Location, target: Location) -> None:
    """Make the folders of a folder, empty ones too where the source is on this machine."""
    _make_folder(target)
    if isinstance(source.store, Disk) and isinstance(target.store, Folders):
        for name in level(source)[1]:
            target.store.make_folder(target.below(name).key)
            _make_folders(source.below(name), target.below(name))
