"""From access to a repository, blocking and not."""

import asyncio

from kist.client.async_repository import AsyncRepository
from kist.client.served import open_served
from kist.client.transport import AsyncTransport
from kist.models import Access

__all__ = ["open_async"]


async def open_async(transport: AsyncTransport, access: Access) -> AsyncRepository:
    """Return the repository that one has access to, for event loops; `kist.client.served.open_served` is the same for threads."""
    return AsyncRepository(await asyncio.to_thread(open_served, transport.blocking, access))
