"""Names for places outside of any repository, shared in an organisation."""

from collections.abc import Mapping

from kist.client.asynchronous.asking import Asking
from kist.models import Mount
from kist.operations import LIST_MOUNTS, REMOVE_MOUNT, SET_MOUNT

__all__ = ["Mounts"]


class Mounts(Asking):
    """Calls about shared mounts."""

    async def list_mounts(self, org: str) -> list[Mount]:
        """Return the mounts of an organisation, without their secrets.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        return await self._all(LIST_MOUNTS, org=org)

    async def set_mount(
        self, *, org: str, name: str, url: str, options: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None
    ) -> Mount:
        """Give a place a name, or a name another place.

        Args:
            org: in which organisation.
            name: what it shall be called.
            url: the place, such as ``s3://bucket/prefix``.
            options: what its store takes beside the URL.
            secrets: the same, sealed and never shown again.

        Raises:
            InvalidInput: something about it can't be.
            Denied: you are no admin of the organisation.
        """
        return await self._ask(SET_MOUNT, org=org, name=name, url=url, options=dict(options or {}), secrets=dict(secrets or {}))

    async def remove_mount(self, *, org: str, name: str) -> None:
        """Forget a mount; what lies at the place stays.

        Raises:
            NotFound: there is none of that name.
            Denied: you are no admin of the organisation.
        """
        await self._ask(REMOVE_MOUNT, org=org, name=name)
