"""A file of this machine that appears whole, or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from kist.errors import AlreadyExists, StoreError

__all__ = ["new_file"]


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str], *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file of this machine that appears whole at the end of the ``with`` block, or not at all.

    Raises:
        AlreadyExists: the file exists, and `overwrite` is not set.
        StoreError: the disk failed.
    """
    target = os.fspath(path)
    if not overwrite and os.path.lexists(target):
        raise AlreadyExists(f"{target} exists: choose another name, or overwrite it")
    folder, name = os.path.split(os.path.abspath(target))
    try:
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False)  # noqa: SIM115 - closed below, then renamed
    except OSError as error:
        raise StoreError(f"{target} can't be written: {error.strerror}") from error
    try:
        with file:
            yield cast(BinaryIO, file)
        os.chmod(file.name, 0o666 & ~_umask())
        if overwrite:
            os.replace(file.name, target)
        else:
            os.link(file.name, target)
            os.unlink(file.name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
