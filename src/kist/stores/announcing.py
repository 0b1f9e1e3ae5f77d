"""Tells fsspec the names of mounts, so that what reads and writes through fsspec knows ``my_storage://…`` too.

Only a name is told: the class of its filesystem (`kist.fsspec`) is made when it is first used. A name that fsspec knows already, such as
``s3``, stays what it is.
"""

import re
from typing import Final

__all__ = ["announce", "class_name", "is_announced", "mount_name"]

_PREFIX: Final = "Mount_"
_MODULE: Final = "kist.fsspec"


def announce(name: str) -> bool:
    """Tell fsspec the name of a mount; of one with a ``_``, which not all programs take for a part of a scheme, also with ``-`` instead.

    Returns:
        Whether the name is this mount's now.
    """
    # it has no types, and takes a while to load
    from fsspec.registry import known_implementations, register_implementation, registry  # type: ignore[import-untyped]  # noqa: PLC0415

    for one in {name.replace("_", "-"), name}:
        if one not in registry and one not in known_implementations:
            register_implementation(one, f"{_MODULE}.{class_name(one)}")
    return bool(known_implementations.get(name, {}).get("class") == f"{_MODULE}.{class_name(name)}")


def is_announced(name: str) -> bool:
    """Say whether fsspec knows a name only because it was told."""
    from fsspec.registry import known_implementations  # noqa: PLC0415 - as above

    return str(known_implementations.get(name, {}).get("class", "")).startswith(f"{_MODULE}.")


def class_name(name: str) -> str:
    """Return the name of a mount as that of a class."""
    return _PREFIX + "".join(sign if sign.isascii() and sign.isalnum() else f"_{ord(sign):02x}" for sign in name)


def mount_name(text: str) -> str | None:
    """Return the mount that the name of a class stands for; None if it stands for none."""
    if not text.startswith(_PREFIX):
        return None
    name = re.sub("_([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), text.removeprefix(_PREFIX))
    return name if class_name(name) == text and name else None
