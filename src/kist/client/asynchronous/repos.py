"""Repositories of organisations: making, opening, describing, deleting, and who may do what with them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Literal

from msgspec import UNSET

import kist
from kist.client.asking import full_name, json_text
from kist.client.asynchronous.jobs import Jobs
from kist.client.progress import Told, told_nobody
from kist.errors import AlreadyExists, NotFound
from kist.models import Job, Repo, RepoKind, RepoRole, Role
from kist.operations import (
    CREATE_REPO,
    DELETE_REPO,
    DESCRIBE_REPO,
    GRANT_ROLE,
    IMPORT_REPO,
    LIST_REPOS,
    LIST_ROLES,
    MODIFY_REPO,
    MOVE_REPO,
    OPEN_REPO,
    RESTORE_REPO,
    REVOKE_ROLE,
)

__all__ = ["Repos"]


class Repos(Jobs):
    """Calls about repositories; each is named ``org/name``."""

    async def list_repos(
        self,
        org: str,
        *,
        search: str = "",
        kind: RepoKind | None = None,
        filter_metadata: Mapping[str, object] | None = None,
        bucket_config: str = "",
        deleted: bool = False,
    ) -> list[Repo]:
        """Return the repositories of an organisation; see `iter_repos`.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        found = self.iter_repos(
            org, search=search, kind=kind, filter_metadata=filter_metadata, bucket_config=bucket_config, deleted=deleted
        )
        return [repo async for repo in found]

    async def iter_repos(
        self,
        org: str,
        *,
        search: str = "",
        kind: RepoKind | None = None,
        filter_metadata: Mapping[str, object] | None = None,
        bucket_config: str = "",
        deleted: bool = False,
    ) -> AsyncIterator[Repo]:
        """Yield the repositories of an organisation that all of this is true of, page by page.

        Args:
            org: of which organisation.
            search: is in the name or in the description.
            kind: what it holds.
            filter_metadata: has all of these metadata.
            bucket_config: lies on the one of this nickname.
            deleted: was deleted, and can be restored still.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        metadata = json_text(filter_metadata)
        said: dict[str, object] = {"search": search, "kind": kind, "metadata": metadata, "bucket_config": bucket_config}
        async for repo in self._each(LIST_REPOS, org=org, deleted=deleted, **said):
            yield repo

    async def create_repo(
        self,
        name: str,
        *,
        bucket_config_nickname: str | None = None,
        kind: RepoKind = "files",
        description: str = "",
        metadata: Mapping[str, object] | None = None,
        authority: Literal["create", "catalog"] | None = None,
    ) -> "kist.AsyncRepository":
        """Make a repository, and open it.

        Args:
            name: ``org/name``.
            bucket_config_nickname: where; on the organisation's default, unless said.
            kind: what it holds: ``files``, or ``arrays``.
            description: for people.
            metadata: names and JSON values to find it by, 4 kB at most.
            authority: what decides its commits; what the store can do is tried, unless said.

        Raises:
            InvalidInput: it can't have this name, or there is no default and no bucket config was named.
            AlreadyExists: the name is taken.
            NotFound: there is no such organisation or bucket config, or you have no role there.
            Denied: you are no writer of the organisation.
            StoreError: the bucket can't be used.
        """
        asked = full_name(name)
        await self._ask(
            CREATE_REPO,
            org=asked["org"],
            name=asked["repo"],
            kind=kind,
            bucket_config_nickname=bucket_config_nickname,
            description=description,
            metadata=dict(metadata or {}),
            authority=authority,
        )
        return await self.get_repo(name)

    async def get_repo(self, name: str, *, access: Literal["read", "write", "most"] = "most") -> "kist.AsyncRepository":
        """Open a repository.

        Args:
            name: ``org/name``.
            access: whether it shall be written; ``most``: if you may, else saving is denied.

        Raises:
            NotFound: there is none, it was deleted, or you have no role for it.
            Denied: it shall be written, and you may only read it.
        """
        from kist.client.opening import open_async  # noqa: PLC0415 - the engine: most calls need none of it

        return await open_async(self._transport, await self._ask(OPEN_REPO, **full_name(name), access=access))

    async def get_or_create_repo(
        self,
        name: str,
        *,
        bucket_config_nickname: str | None = None,
        kind: RepoKind = "files",
        description: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> "kist.AsyncRepository":
        """Open a repository, which is made if there is none; see `create_repo`.

        Raises:
            Denied: there is none, and you are no writer of the organisation.
        """
        try:
            return await self.get_repo(name)
        except NotFound:
            pass
        try:
            return await self.create_repo(
                name, bucket_config_nickname=bucket_config_nickname, kind=kind, description=description, metadata=metadata
            )
        except AlreadyExists:  # by somebody else, just now
            return await self.get_repo(name)

    async def import_repo(
        self,
        name: str,
        *,
        prefix: str,
        bucket_config_nickname: str | None = None,
        description: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> "kist.AsyncRepository":
        """Take in a repository that lies under a prefix of a bucket config already, and open it.

        Raises:
            AlreadyExists: the name is taken.
            Conflict: the catalog has a repository at this place.
            NotFound: there is no repository under the prefix.
            Denied: you are no admin of the organisation.
        """
        asked = full_name(name)
        await self._ask(
            IMPORT_REPO,
            org=asked["org"],
            name=asked["repo"],
            prefix=prefix,
            bucket_config_nickname=bucket_config_nickname,
            description=description,
            metadata=dict(metadata or {}),
        )
        return await self.get_repo(name)

    async def describe_repo(self, name: str) -> Repo:
        """Return what the catalog knows of a repository.

        Raises:
            NotFound: there is none, it was deleted, or you have no role for it.
        """
        return await self._ask(DESCRIBE_REPO, **full_name(name))

    async def modify_repo(
        self,
        name: str,
        *,
        new_name: str | None = None,
        description: str | None = None,
        add_metadata: Mapping[str, object] | None = None,
        remove_metadata: Iterable[str] = (),
        update_metadata: Mapping[str, object] | None = None,
    ) -> Repo:
        """Change what the catalog knows of a repository; what is None stays as it is.

        Args:
            name: ``org/name``.
            new_name: its name within the organisation.
            description: for people.
            add_metadata: names that it does not have yet.
            remove_metadata: names that it has.
            update_metadata: names that it has, with other values. No name may be in more than one of these.

        Raises:
            InvalidInput: a name of metadata is in more than one, or all are too long.
            AlreadyExists: the new name is taken.
            NotFound: there is no such repository, or you have no role for it.
            Denied: you are no admin of it.
        """
        return await self._ask(
            MODIFY_REPO,
            **full_name(name),
            new_name=UNSET if new_name is None else new_name,
            description=UNSET if description is None else description,
            add_metadata=dict(add_metadata or {}),
            remove_metadata=list(remove_metadata),
            update_metadata=dict(update_metadata or {}),
        )

    async def delete_repo(self, name: str, *, imsure: bool = False, imreallysure: bool = False) -> Repo:
        """Delete a repository. It can be restored until its `purge_at`, which is returned: for 7 days, unless the server says otherwise.

        Raises:
            InvalidInput: `imsure` and `imreallysure` are not both set.
            NotFound: there is none, or you have no role for it.
            Denied: you are no admin of it.
        """
        return await self._ask(DELETE_REPO, **full_name(name), imsure=imsure, imreallysure=imreallysure)

    async def restore_repo(self, name: str) -> Repo:
        """Bring back a repository that was deleted.

        Raises:
            NotFound: there is none that was deleted, or it is gone for good.
            AlreadyExists: another one has the name now.
            Denied: you are no admin of it.
        """
        return await self._ask(RESTORE_REPO, **full_name(name))

    async def move_repo(self, name: str, *, bucket_config_nickname: str, wait: bool = True, progress: Told = told_nobody) -> Job:
        """Move a repository to another bucket config, with all its versions. It can be read all the time.

        Args:
            name: ``org/name``.
            bucket_config_nickname: where to.
            wait: whether to return at the end only; else the job that is returned goes on, and `wait_for_job` waits for it.
            progress: is told how many bytes are done, and of how many.

        Raises:
            NotFound: there is no such repository or bucket config, or you have no role there.
            Conflict: it is there already, or being moved.
            Denied: you are no admin of it.
            StoreError: it failed; the repository is where it was.
            Busy: nobody works on it; see `wait_for_job`.
        """
        asked = full_name(name)
        job = await self._ask(MOVE_REPO, **asked, bucket_config_nickname=bucket_config_nickname)
        return await self.wait_for_job(str(asked["org"]), job.id, progress=progress) if wait else job

    async def list_roles(self, name: str) -> list[RepoRole]:
        """Return who has a role for a repository, beside those that they have in its organisation.

        Raises:
            NotFound: there is no such repository, or you have no role for it.
        """
        return await self._all(LIST_ROLES, **full_name(name))

    async def grant_role(self, name: str, *, principal: str, role: Role) -> RepoRole:
        """Give a user, or a service account of the organisation, a role for a repository, instead of the one they have.

        Raises:
            NotFound: there is no such user, account or repository.
            Denied: you are no admin of it.
        """
        return await self._ask(GRANT_ROLE, **full_name(name), principal=principal, role=role)

    async def revoke_role(self, name: str, *, principal: str) -> None:
        """Take a role for a repository away.

        Raises:
            NotFound: there is no such role or repository.
            Denied: you are no admin of it.
        """
        await self._ask(REVOKE_ROLE, **full_name(name), principal=principal)
