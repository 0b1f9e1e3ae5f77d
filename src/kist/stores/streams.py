"""Parts as they come, cut into pieces of one length: what every `PutStream` starts with.

Nothing is held but the piece that is being filled. What the parts raise is remembered, so that a store that meets it inside a foreign
library can let exactly that error through (`Pieces.blame`). The length is counted, and compared with the promised one at the end.
A library that asks for pieces from inside its own machinery gets them through a `Feed`: the parts are always made by the caller's thread.
"""

import threading
from collections.abc import Buffer, Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self, override

from kist.errors import IntegrityError

__all__ = ["Feed", "Pieces"]


class Pieces(Iterator[Buffer]):
    """The bytes of `parts` in pieces of `piece_bytes`, the last one shorter; nobody changes a piece any more."""

    def __init__(self, parts: Iterable[Buffer], *, piece_bytes: int, size_bytes: int | None = None) -> None:
        self.piece_bytes = piece_bytes
        self.count_bytes = 0
        """How many bytes came so far."""
        self._size_bytes = size_bytes
        self._cuts = self._cut(parts)
        self._failure: BaseException | None = None

    @override
    def __next__(self) -> Buffer:
        """Return the next piece.

        Raises:
            IntegrityError: all together are not as long as promised.
        """
        try:
            return next(self._cuts)
        except StopIteration:
            if self._size_bytes not in {None, self.count_bytes}:
                self._failure = IntegrityError(
                    f"{self._size_bytes} bytes were promised and {self.count_bytes} came; did the source change?"
                )
                raise self._failure from None
            raise
        except BaseException as error:
            self._failure = error
            raise

    def blame(self) -> None:
        """Raise what the parts raised, if anything; for a store that caught another error because of it."""
        if self._failure is not None:
            raise self._failure from self._failure.__cause__

    def _cut(self, parts: Iterable[Buffer]) -> Iterator[Buffer]:
        piece, filled = bytearray(), 0
        for part in parts:
            with memoryview(part) as given, given.cast("B") as view:
                self.count_bytes += len(view)
                if not filled and type(part) is bytes and len(view) == self.piece_bytes:
                    yield part  # immutable: no need to copy
                    continue
                done = 0
                while done < len(view):
                    if not filled:
                        piece = bytearray(self.piece_bytes)
                    step = min(self.piece_bytes - filled, len(view) - done)
                    piece[filled : filled + step] = view[done : done + step]
                    done, filled = done + step, filled + step
                    if filled == self.piece_bytes:
                        yield piece
                        filled = 0
        if filled:
            yield memoryview(piece)[:filled]


class Feed(Iterator[Buffer]):
    """Hands pieces, one at a time, to work on a thread of its own; leaving the context by an error ends that work with an error."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._piece: Buffer | None = None
        self._ended = self._broken = self._done = False
        self._work: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None and self._work is not None and not self._work.done():
            with self._turn:
                self._broken, self._piece = True, None
                self._turn.notify_all()
            self._work.exception()  # wait: it may have something to clean up

    def start(self, work: Callable[[], None]) -> Future[None]:
        """Begin the work that takes the pieces."""
        future: Future[None] = Future()
        self._work = future
        threading.Thread(target=self._run, args=(work, future), name="kist-feed", daemon=True).start()
        return future

    def give(self, piece: Buffer) -> bool:
        """Hand over a piece as soon as the last one was taken; False if the work has ended already."""
        with self._turn:
            self._turn.wait_for(lambda: self._piece is None or self._done)
            if not self._done:
                self._piece = piece
                self._turn.notify_all()
            return not self._done

    def end(self) -> None:
        """Say that no more pieces come."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    @override
    def __next__(self) -> Buffer:
        """Wait for the next piece.

        Raises:
            BrokenPipeError: whoever made the pieces failed.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._broken or self._piece is not None or self._ended)
            if self._broken:
                raise BrokenPipeError("no more pieces come: making them failed")
            if self._piece is None:
                raise StopIteration
            piece, self._piece = self._piece, None
            self._turn.notify_all()
            return piece

    def _run(self, work: Callable[[], None], future: Future[None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  it belongs to whoever asks for the result
            self._finish()
            future.set_exception(error)
        else:
            self._finish()
            future.set_result(None)

    def _finish(self) -> None:
        with self._turn:
            self._done = True
            self._turn.notify_all()
