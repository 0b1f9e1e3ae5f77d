"""A running server of files: its URL, the options that open it, and the folder on this machine that it serves."""

from dataclasses import dataclass, field
from pathlib import Path

from kist.stores.other import OtherStore, open_other


@dataclass(frozen=True, slots=True, kw_only=True)
class FileServer:
    """A server with one user; `url` ends without a ``/``, and `folder` is what it shows there."""

    name: str
    url: str
    folder: Path
    pid: int = 0
    options: dict[str, object] = field(default_factory=dict)

    def store(self, path: str = "", **options: object) -> OtherStore:
        """Open a store below its root."""
        return open_other(f"{self.url}/{path}", create=False, **{**self.options, **options})
