# Made by kist.client.generate from kist/engine/repository.py: change that, and run python -m kist.client.generate

"""`kist.AsyncRepository`: everything that can be done with a repository, for event loops."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import BinaryIO, Literal

from kist.client.async_parts import AsyncFile, AsyncTransaction, in_batches, lending
from kist.engine.commits import Concurrent
from kist.engine.repository import Repository
from kist.engine.restoring import RestoreReport
from kist.engine.saving import Progress, Skipped, silent, unheard
from kist.engine.transactions import Source
from kist.models import Collected, Difference, Info, Report, Version

__all__ = ["AsyncRepository"]


class AsyncRepository:
    """A tree of paths with a history, for event loops: the calls of `Repository`, which block, in threads.

    Who stops waiting for a call does not stop its thread: a change may be made all the same. What is told of progress, is told in threads.
    """

    def __init__(self, repository: Repository) -> None:
        """Use `AsyncClient.get_repo`, or give a repository that is open."""
        self._repository = repository

    def __repr__(self) -> str:
        """Name the place."""
        return f"Async{self._repository!r}"

    @property
    def blocking(self) -> Repository:
        """The same repository for threads."""
        return self._repository

    @property
    def name(self) -> str:
        """How people call it."""
        return self._repository.name

    @property
    def id(self) -> str:
        """The repository's id, 32 hexadecimal digits."""
        return self._repository.id

    @property
    def authority(self) -> str:
        """How commits are decided: ``create``, ``fork`` or ``catalog``."""
        return self._repository.authority

    async def save(
        self,
        path: str,
        source: Source,
        *,
        message: str = "",
        author: str | None = None,
        labels: Iterable[str] | None = None,
        tags: dict[str, object] | None = None,
        ignore: Sequence[str] = (),
        branch: str = "main",
        always: bool = False,
        concurrent: Concurrent = "conflict",
        progress: Progress = silent,
        skipped: Skipped = unheard,
    ) -> Version:
        """Make `path` equal to a source, as one version; what the source lacks is removed. If nothing changed, return the current version.

        Args:
            path: where in the tree; empty for the whole tree.
            source: a path on this machine (text or `os.PathLike`: a file or a folder), or content (bytes or a binary file).
            message: why.
            author: who; the user of this machine if not said.
            labels: words for `path`; None keeps those that it has.
            tags: names and JSON values for `path`; None keeps those that it has.
            ignore: gitignore patterns, beside those of ``.kistignore`` files.
            branch: on which branch.
            always: make a version even if nothing changed.
            concurrent: if another writer changes the same path meanwhile: ``"conflict"`` raises, ``"order"`` puts this on top.
            progress: is told how many items and how many bytes were done since its last call.
            skipped: is told path and reason of what can't be kept (devices, sockets, names that are not Unicode).

        Raises:
            NotFound: the source does not exist.
            InvalidInput: the path or the source is not one.
            Conflict: another writer changed the same path meanwhile, or a file is where a folder must be.
            Denied: something may not be read or written.
            StoreError: the store failed.
        """
        return await asyncio.to_thread(
            self._repository.save,
            path,
            source,
            message=message,
            author=author,
            labels=labels,
            tags=tags,
            ignore=ignore,
            branch=branch,
            always=always,
            concurrent=concurrent,
            progress=progress,
            skipped=skipped,
        )

    @asynccontextmanager
    async def transaction(
        self,
        message: str = "",
        *,
        author: str | None = None,
        branch: str = "main",
        always: bool = False,
        concurrent: Concurrent = "conflict",
    ) -> AsyncIterator[AsyncTransaction]:
        """Make several changes one version, `Transaction.version`, at the end of the ``with`` block; or none at all, if that raises.

        Raises:
            Conflict: another writer changed the same path meanwhile.
            StoreError: the store failed.
        """
        async with lending(
            self._repository.transaction(message, author=author, branch=branch, always=always, concurrent=concurrent)
        ) as lent:
            yield AsyncTransaction(lent)

    async def delete(self, path: str, *, message: str = "", author: str | None = None, branch: str = "main") -> Version:
        """Remove a path and all below it; earlier versions keep it.

        Raises:
            NotFound: there is nothing.
            Conflict: another writer changed it meanwhile.
        """
        return await asyncio.to_thread(self._repository.delete, path, message=message, author=author, branch=branch)

    async def move(self, source: str, destination: str, *, message: str = "", author: str | None = None, branch: str = "main") -> Version:
        """Give a path and all below it another name; no content is read or written.

        Raises:
            NotFound: there is nothing at the source.
            AlreadyExists: there is something at the destination.
            InvalidInput: the destination lies in the source.
            Conflict: another writer changed it meanwhile.
        """
        return await asyncio.to_thread(self._repository.move, source, destination, message=message, author=author, branch=branch)

    async def merge(
        self, ref: str, *, message: str = "", author: str | None = None, branch: str = "main", concurrent: Concurrent = "conflict"
    ) -> Version:
        """Bring what another ref changed into a branch, as one version with both as parents.

        Args:
            ref: what to merge.
            message: why.
            author: who.
            branch: into which branch.
            concurrent: if both changed a path differently: ``"conflict"`` raises, ``"order"`` takes that of `ref`.

        Raises:
            NotFound: there is no such ref or branch.
            Conflict: both changed the same path.
        """
        return await asyncio.to_thread(self._repository.merge, ref, message=message, author=author, branch=branch, concurrent=concurrent)

    async def log(
        self, path: str | None = None, *, limit: int | None = None, ref: str | None = None, branch: str = "main"
    ) -> list[Version]:
        """Return the versions of a branch, or up to a ref, newest first; with a path, those that changed it or something below it.

        Raises:
            NotFound: there is no such ref.
        """
        return await asyncio.to_thread(self._repository.log, path, limit=limit, ref=ref, branch=branch)

    async def version(self, ref: str | None = None) -> Version:
        """Return the version that a ref means.

        Raises:
            NotFound: there is none.
        """
        return await asyncio.to_thread(self._repository.version, ref)

    async def tree(self, path: str = "", *, ref: str | None = None, after: str = "", limit: int | None = None) -> list[Info]:
        """Return what lies right in a folder (or the one file at `path`), sorted; `after` and `limit` page through long listings.

        Raises:
            NotFound: there is no such ref or path.
        """
        return await asyncio.to_thread(self._repository.tree, path, ref=ref, after=after, limit=limit)

    async def walk(self, path: str = "", *, ref: str | None = None) -> AsyncIterator[Info]:
        """Yield a path and all entries below it, in the order of the tree.

        Raises:
            NotFound: there is no such ref or path.
        """
        async for item in in_batches(self._repository.walk(path, ref=ref)):
            yield item

    async def stat(self, path: str, *, ref: str | None = None) -> Info:
        """Return what a version has at a path.

        Raises:
            NotFound: there is no such ref or path.
        """
        return await asyncio.to_thread(self._repository.stat, path, ref=ref)

    async def open(self, path: str, *, ref: str | None = None) -> AsyncFile:
        """Open a file of a version to read its bytes: seekable; fetches only what is read, and checks it. Links are not followed.

        Raises:
            NotFound: there is no such ref or path.
            InvalidInput: it is no file.
        """
        return AsyncFile(await asyncio.to_thread(self._repository.open, path, ref=ref))

    async def read(self, path: str, *, ref: str | None = None) -> bytes:
        """Return the content of a file of a version.

        Raises:
            NotFound: there is no such ref or path.
            InvalidInput: it is no file.
            IntegrityError: what is stored is not what was saved.
        """
        return await asyncio.to_thread(self._repository.read, path, ref=ref)

    async def diff(self, a: str, b: str, path: str = "") -> list[Difference]:
        """Return what one ref has and another has not, sorted by path; changes of times alone are none.

        Raises:
            NotFound: there is no such ref.
        """
        return await asyncio.to_thread(self._repository.diff, a, b, path)

    async def restore(
        self,
        path: str,
        destination: str | os.PathLike[str],
        *,
        ref: str | None = None,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> RestoreReport:
        """Write a path of a version to this machine.

        The content of a folder goes into `destination`; a file becomes it, or goes into it if it is a folder. Nothing outside the
        destination is touched, whatever the repository says.

        Raises:
            NotFound: there is no such ref or path.
            AlreadyExists: something is in the way, and `overwrite` is not set.
            IntegrityError: what is stored is not what was saved.
            Denied: something may not be written.
        """
        return await asyncio.to_thread(self._repository.restore, path, destination, ref=ref, overwrite=overwrite, progress=progress)

    async def export(
        self,
        path: str,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        ref: str | None = None,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> None:
        """Write a path of a version as one archive, by the file's name; the same version gives the same bytes.

        Args:
            path: a file or folder; empty for the whole tree.
            file: where to, on this machine (``.tar.gz``, ``.tgz``, ``.tar`` or ``.zip``); or a binary file to write a ``.tar.gz`` to.
            ref: of which version.
            overwrite: whether a file that is there is replaced.
            progress: is told how many items and how many bytes were done since its last call.

        Raises:
            NotFound: there is no such ref or path.
            AlreadyExists: the file exists, and `overwrite` is not set.
            InvalidInput: the name says no known format.
            IntegrityError: what is stored is not what was saved; no file is left.
        """
        return await asyncio.to_thread(self._repository.export, path, file, ref=ref, overwrite=overwrite, progress=progress)

    async def tag(self, name: str, ref: str | None = None) -> Version:
        """Give a version a name that never moves.

        Raises:
            AlreadyExists: there is a branch or tag of that name.
            NotFound: there is no such ref.
            InvalidInput: no tag may have that name.
        """
        return await asyncio.to_thread(self._repository.tag, name, ref)

    async def tags(self) -> dict[str, Version]:
        """Return all tags with their versions."""
        return await asyncio.to_thread(self._repository.tags)

    async def branch(self, name: str, ref: str | None = None) -> Version:
        """Start a branch at a version.

        Raises:
            AlreadyExists: there is a branch or tag of that name.
            NotFound: there is no such ref.
            InvalidInput: no branch may have that name.
        """
        return await asyncio.to_thread(self._repository.branch, name, ref)

    async def branches(self) -> dict[str, Version]:
        """Return all branches with their newest versions."""
        return await asyncio.to_thread(self._repository.branches)

    async def forget(self, refs: Iterable[str], *, imsure: bool = False, author: str | None = None) -> list[Version]:
        """End versions: they stay in the log, but their content is not kept; `collect` frees what nothing else uses. Can't be undone.

        Args:
            refs: which versions.
            imsure: must be set.
            author: who; the user of this machine if not said.

        Raises:
            InvalidInput: `imsure` is not set.
            NotFound: there is no such version.
            Conflict: one is the head of a branch: save what should come after it first.
        """
        return await asyncio.to_thread(self._repository.forget, refs, imsure=imsure, author=author)

    async def stored(self, prefix: str = "") -> AsyncIterator[int]:
        """Yield the sizes in bytes of the objects that are stored: of all, or of those whose keys begin with `prefix`, such as ``packs/``.

        Raises:
            StoreError: the store failed.
        """
        async for item in in_batches(self._repository.stored(prefix)):
            yield item

    async def verify(self, level: Literal["metadata", "data"] = "metadata", *, progress: Progress = silent) -> Report:
        """Check what is stored: every version, tree and recipe, and that all they name is there; at level ``"data"`` every byte.

        Raises:
            StoreError: the store failed.
        """
        return await asyncio.to_thread(self._repository.verify, level, progress=progress)

    async def repair(self) -> list[str]:
        """Rebuild what can be derived: the index from footers, and packs whose footers are damaged from their frames. Return what was done.

        Raises:
            StoreError: the store failed.
        """
        return await asyncio.to_thread(self._repository.repair)

    async def collect(self, *, dry_run: bool = False) -> Collected:
        """Free what no version needs: mark it now, delete it once it was marked for a whole grace (24 hours). Safe beside writers.

        Raises:
            Unsupported: the store's clock goes backwards.
            StoreError: the store failed.
        """
        return await asyncio.to_thread(self._repository.collect, dry_run=dry_run)
