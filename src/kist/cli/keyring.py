"""``kist config new-key`` and ``rotate-key``: the keys that an installation seals its secrets by. No key is printed."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, note, print_object
from kist.cli.text import count, escape
from kist.errors import InvalidInput, NotFound, Unsupported

__all__ = ["new_key", "rotate_key"]


def new_key(
    file: Annotated[Path, Parameter(help="Where; the server's settings name it below [keys].")],
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make the file with the keys that an installation seals its secrets by; only you can read it.

    Raises:
        KistError: there is such a file already, or it can't be made.
    """
    from kist.catalog.rotating import make_keyring  # noqa: PLC0415 - --help needs none

    keyring = make_keyring(file)
    if everywhere.json:
        print_object({"file": str(file), "key": keyring.current})
        return
    line(f"made {escape(str(file))} with the key {keyring.current}")
    if not everywhere.quiet:
        note("kist: keep a copy of it, apart from the database: without it, all secrets are lost")


def rotate_key(
    *,
    config: Annotated[Path | None, Parameter(metavar="FILE", help="The server's settings; this machine's own keys if not said.")] = None,
    use: Annotated[
        str | None, Parameter(metavar="KEY", help="Seal by this key, which was added before; all processes of the server must know it.")
    ] = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Seal all secrets anew by a new key.

    For this machine that is one step. For a server there are two: the first adds a key to the file, which its processes read again within
    seconds, the second, with --use, seals by it. Where machines have copies of the file, copy it in between. Keys that were used before
    stay: tokens made with them need them.

    Raises:
        KistError: there are no such settings or keys, or a secret does not open.
    """
    if config is None:
        if use is not None:
            raise InvalidInput("--use is for a server's keys, with --config FILE: this machine's own take one step")
        from kist import settings  # noqa: PLC0415 - --help needs none

        home = settings.data_home() / "catalog"
        if not (home / "keys").exists():
            raise NotFound(f"this machine has no keys yet: they are made at {home / 'keys'} when they are first needed")
        name = _add(home / "keys")
        _use(home / "keys", name, str(home / "kist.sqlite"), everywhere)
        return
    try:
        from kist.server.settings import load_settings  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise Unsupported(f"the settings of a server need more than is installed ({error}): pip install 'kist[server]'") from error
    said = load_settings(config)
    if not said.keys.file:
        raise InvalidInput(f"{config} does not keep the keys in a file: add a line to them where they are, and restart the server")
    path = Path(said.keys.file)
    if use:
        _use(path, use, said.database, everywhere)
        return
    from kist.catalog.keyrings import FOLLOW_SECONDS  # noqa: PLC0415 - --help needs none

    name = _add(path)
    if everywhere.json:
        print_object({"file": str(path), "key": name, "in_use": False})
        return
    line(f"added the key {name} to {escape(str(path))}; it does not seal yet")
    if not everywhere.quiet:
        note(f"kist: wait {2 * FOLLOW_SECONDS:.0f} seconds, until all processes of the server know it; then:")
        note(f"kist: kist config rotate-key --config {escape(str(config))} --use {name}")


def _add(path: Path) -> str:
    from kist.catalog.rotating import add_key  # noqa: PLC0415 - --help needs none

    return add_key(path)


def _use(path: Path, name: str, database: str, everywhere: Everywhere) -> None:
    from kist.catalog.rotating import use_key  # noqa: PLC0415 - --help needs none

    use_key(path, name)
    resealed = _reseal(path, database)
    if everywhere.json:
        print_object({"file": str(path), "key": name, "in_use": True, "sealed_anew": resealed})
        return
    line(f"{escape(name)} seals from now on; {count(resealed, 'secret')} sealed anew")
    if not everywhere.quiet:
        note("kist: the older keys stay, for what was made with them")


def _reseal(path: Path, url: str) -> int:
    from kist.catalog.database import open_database  # noqa: PLC0415 - --help needs none
    from kist.catalog.keyrings import load_keyring  # noqa: PLC0415
    from kist.service.buckets import reseal  # noqa: PLC0415
    from kist.service.rooms import Rooms  # noqa: PLC0415

    database = open_database(url)
    try:
        return reseal(Rooms(database=database, keyring=load_keyring(path)))
    finally:
        database.close()
