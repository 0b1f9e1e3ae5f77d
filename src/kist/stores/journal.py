"""What of a big transfer is done, kept on this machine so that another process can go on with it.

One file per pair of source and target, in the cache of this user. It names neither, as a URL may be signed, but the state of the source, so
that one that has changed begins anew. Losing it costs time; a damaged one is thrown away.
"""

import contextlib
import hashlib
import json
import os
import threading
from pathlib import Path

from kist import settings
from kist.stores.protocols import ObjectMeta

__all__ = ["Journal"]


class Journal:
    """The notes of one transfer."""

    def __init__(self, source: str, state: ObjectMeta, target: str) -> None:
        """Open the notes on copying `source`, in the state that it has now, to `target`."""
        pair = hashlib.sha256(f"{source}\0{target}".encode(errors="surrogateescape")).hexdigest()
        self._path = settings.cache_home() / "transfers" / pair
        self._head = [pair, state.etag, state.size_bytes, state.modified.isoformat()]
        self._lock = threading.Lock()
        self._sound = bool(state.etag)  # without it nobody knows whether the source is the same

    def read(self) -> tuple[str, dict[int, str]]:
        """Return the token of the begun upload, empty if there is none, and the receipts of the parts that were written."""
        state, token, receipts = self._load()
        return (token, receipts) if self._sound and state == self._head else ("", {})

    def abandoned(self) -> str:
        """Return the token of an upload from another state of the source, with which nobody goes on; empty if there is none."""
        state, token, _ = self._load()
        return "" if self._sound and state == self._head else token

    def begin(self, token: str) -> None:
        """Note that an upload has begun; best effort, as all that is noted."""
        if self._sound:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write(json.dumps([*self._head, token]) + "\n", os.O_TRUNC)

    def note(self, number: int, receipt: str) -> None:
        """Note that a part is written."""
        if self._sound:
            with contextlib.suppress(OSError), self._lock:
                self._write(json.dumps([number, receipt]) + "\n", os.O_APPEND)

    def end(self) -> None:
        """Forget all."""
        with contextlib.suppress(OSError):
            Path(self._path).unlink(missing_ok=True)

    def _load(self) -> tuple[list[object], str, dict[int, str]]:
        """Return the state of the source, the token, and the receipts up to the first line that is damaged."""
        receipts: dict[int, str] = {}
        try:
            head, *lines = self._path.read_text(encoding="utf-8").split("\n")
            *state, token = json.loads(head)
        except (OSError, ValueError, TypeError):
            return [], "", {}
        with contextlib.suppress(ValueError, TypeError):
            for line in lines:
                number, receipt = json.loads(line)
                receipts[int(number)] = str(receipt)
        return state, str(token), receipts

    def _write(self, text: str, how: int) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
