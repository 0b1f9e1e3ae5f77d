"""How a version comes back to this machine: which of its entries is written when, and by whom.

Files come first, by several threads if asked; then links, so that no file can be written through one; then the modes and times of
folders, the deepest first, so that a read-only folder can be filled. Where and how is for `kist.engine.destination`.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from kist.engine.destination import PERMISSIONS, PRIVATE, Content, Destination, Folder, Stopped, checked, explain
from kist.engine.entries import Entry, check_path
from kist.engine.obstacles import refuse_obstacles
from kist.errors import AlreadyExists, InvalidInput

__all__ = ["Progress", "RestoreReport", "restore"]

Progress = Callable[[int, int], None]
"""Called with how many items and how many bytes have been done since the last call; by one thread at a time."""

_Job = tuple[Folder, Entry, Content]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What was written, and where: `local` is the folder, or the one file or link."""

    local: str
    files: int
    folders: int
    links: int
    size_bytes: int


def restore(
    entries: Iterable[tuple[Entry, Content]],
    destination: str | os.PathLike[str],
    *,
    overwrite: bool,
    name: str = "",
    workers: int = 1,
    progress: Progress | None = None,
) -> RestoreReport:
    """Write entries below a folder: nothing outside it is touched, no link in it is followed, and each file appears whole or not at all.

    Folders that are there already are filled; their mode and time change only with `overwrite`, those of the destination itself never.
    Set-user-id, set-group-id and sticky bits don't come back.

    Args:
        entries: in tree order, paths relative to the destination; gone through more than once, so no iterator. An entry with an empty
            path that is no folder stands alone: it becomes the destination, or goes into it under `name` if that is a folder.
        destination: a path on this machine; missing folders are made.
        overwrite: whether files and links that are in the way are replaced. If not, they are found before anything is written.
        name: what a single item is called where it goes into a folder.
        workers: how many files are written at once. More than one helps where content comes over a network; on a local disk it costs CPU
            time for nothing. `entries` is then advanced by any of their threads, one at a time.
        progress: told of what is done.

    Raises:
        AlreadyExists: something is in the way.
        InvalidInput: the entries are no tree that a file system can hold.
        IntegrityError: content has another size than its entry says.
        Denied: this user may not write there.
        StoreError: the disk failed, or is full.
        Exception: what `entries` and the content raise. Whenever something is raised, the files that were done stay.
    """
    if iter(entries) is entries:
        raise InvalidInput("entries are gone through more than once: give a list, or an object whose __iter__ starts anew")
    place = os.fspath(destination)
    if not place or "\0" in place:
        raise InvalidInput(f"{place!r} is no path on this machine: give the path of a folder")
    first = next((entry for entry, _ in entries), None)
    local = place
    if first is not None and not first.path and first.kind != "folder":
        place, name = _place_of_one(place, name)
        local = os.path.join(place, name)
        entries = [(msgspec.structs.replace(entry, path=name), content) for entry, content in checked(entries)]
    refuse_obstacles(entries, place, overwrite=overwrite)
    fresh = _make_place(place, first)
    with Destination(place, overwrite=overwrite, fresh=fresh) as target:
        return _Restoring(entries, target, progress).run(workers, local)


def _place_of_one(place: str, name: str) -> tuple[str, str]:
    """Return the folder that a single item goes into, and its name there."""
    if not os.path.isdir(place) and os.path.basename(place):
        folder, name = os.path.split(place)
        return folder or ".", name
    if "/" in check_path(name):
        raise InvalidInput(f"{name!r} is no name that a file can have in {place}: give the last segment of its path")
    return place, name


def _make_place(place: str, first: Entry | None) -> bool:
    """Make the destination if it is missing, and return whether it was; closed to others for now if it will get a mode of its own."""
    listed = first is not None and not first.path
    try:
        os.makedirs(os.path.dirname(place.rstrip("/")) or ".", exist_ok=True)
        os.mkdir(place, PRIVATE if listed else PERMISSIONS)
    except FileExistsError as error:
        if os.path.isdir(place):
            return False
        raise AlreadyExists(f"{place} is no folder: move it away, or restore elsewhere") from error
    except OSError as error:
        raise explain(error, "", place) from error
    return True


class _Restoring:
    """One restore: who writes the next file, what comes after the files, and what has been done. Its lock guards all of it."""

    def __init__(self, entries: Iterable[tuple[Entry, Content]], target: Destination, progress: Progress | None) -> None:
        self._target = target
        self._progress = progress
        self._lock = threading.RLock()
        self._jobs = self._plan(entries)
        self._links: list[Entry] = []
        self._late: list[Entry] = []
        self._files = self._folders = self._size_bytes = 0
        self._failure: BaseException | None = None

    def run(self, workers: int, local: str) -> RestoreReport:
        """Write everything; this thread is one of the workers."""
        threads = [threading.Thread(target=self._work, name=f"kist-restore-{number}", daemon=True) for number in range(1, workers)]
        for thread in threads:
            thread.start()
        self._work()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:  # noqa: BLE001  An interrupt: no worker may go on behind the caller's back. A second is let through.
            self._fail(error)
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure
        for entry in self._links:
            self._at(entry, self._link)
        for entry in reversed(self._late):
            self._at(entry, self._target.finish)
        return RestoreReport(local=local, files=self._files, folders=self._folders, links=len(self._links), size_bytes=self._size_bytes)

    def _plan(self, entries: Iterable[tuple[Entry, Content]]) -> Iterator[_Job]:
        """Make the folders, put the links aside, and hand out the files. Advanced under the lock."""
        for entry, content in checked(entries):
            if entry.kind == "file":
                yield self._at(entry, self._parent), entry, content
            elif entry.kind == "link":
                self._links.append(entry)
            else:
                self._at(entry, self._folder)

    def _work(self) -> None:
        """Write one file after another, until there is none or one has failed."""
        job: _Job | None = None
        try:
            while (job := self._take(job)) is not None:
                self._write(*job)
        except BaseException as error:  # noqa: BLE001  `run` raises it, in the caller's thread
            self._fail(error)
            if job is not None:
                with self._lock:
                    job[0].release()

    def _take(self, done: _Job | None) -> _Job | None:
        """Book a file that was written, and return the next one with a hold on its folder."""
        with self._lock:
            if done is not None:
                done[0].release()
                self._files += 1
                self._size_bytes += done[1].size
            try:
                job = None if self._failure is not None else next(self._jobs, None)
            except BaseException as error:  # noqa: BLE001  as in `_work`
                self._fail(error)
                return None
            if job is not None:
                job[0].users += 1
            return job

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._failure is None:
                self._failure = error
            self._target.stopped = True

    def _at[T](self, entry: Entry, act: Callable[[Entry], T]) -> T:
        """Act on an entry; an error that happens there names it."""
        try:
            return act(entry)
        except Stopped:
            raise
        except Exception as error:
            named = explain(error, entry.path, self._target.local)
            if named is error:
                raise
            raise named from error

    def _parent(self, entry: Entry) -> Folder:
        return self._target.enter(entry.path.rpartition("/")[0])

    def _folder(self, entry: Entry) -> None:
        folder = self._target.enter(entry.path, mode=PRIVATE)
        if folder.fresh or (self._target.overwrite and entry.path):
            self._late.append(entry)
        self._folders += 1
        self._tell(1, 0)

    def _write(self, folder: Folder, entry: Entry, content: Content) -> None:
        name = entry.path.rpartition("/")[2]
        tell = None if self._progress is None else self._tell_bytes
        self._at(entry, lambda entry: self._target.write(folder, name, entry, content, tell))
        self._tell(1, 0)

    def _link(self, entry: Entry) -> None:
        self._target.link(self._parent(entry), entry.path.rpartition("/")[2], entry)
        self._tell(1, 0)

    def _tell_bytes(self, size_bytes: int) -> None:
        self._tell(0, size_bytes)

    def _tell(self, items: int, size_bytes: int) -> None:
        if self._progress is not None:
            with self._lock:
                self._progress(items, size_bytes)
