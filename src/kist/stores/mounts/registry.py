"""Mounts: names that stand for a store and the options that open it, so that ``my_storage://path`` is a URL like any other.

- What a call says goes before the environment, that before files, and a file in the working directory before one at home. A section
  counts as a whole: two files never mix. Variables, and the arguments of a call, do add to the section of their name; where they name a
  place themselves, to one that names none.
- Configuration is read when a name is first looked up, and again when it has changed. Nothing is sent over any network.
- What is broken is a `ConfigWarning` of its own, and an error for whoever asks for that very name; all else still works.
"""

import contextlib
import os
import threading
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kist.errors import AlreadyExists, ConfigWarning, InvalidInput, NotFound
from kist.stores import urls
from kist.stores.announcing import announce
from kist.stores.mounts import saving
from kist.stores.mounts import table as configuration
from kist.stores.mounts.files import spelled
from kist.stores.mounts.options import unknown
from kist.stores.mounts.providers import Known, Place, check_name, default_of, filed_as, place, says_where
from kist.stores.mounts.table import Table
from kist.stores.urls import schemes

__all__ = ["Mount", "find", "mount", "mounts", "saved_in", "unmount"]

_UNMOUNTABLE: Final = frozenset({"file", "memory", "kist", "host", "http", "https"})

type Said = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A name for a store. `url` is empty where the name is a scheme, which gets default options.

    `origin` is ``"call"``, ``"environment"``, or the file that it comes from. Shown without secrets.
    """

    name: str
    url: str
    provider: str
    options: Mapping[str, object]
    origin: str

    def at(self, path: str) -> str:
        """Return the URL that ``name://path`` means."""
        if not self.url:
            return f"{self.name}://{path}"
        return self.url + path if self.url.endswith("/") or not path else f"{self.url}/{path}"


_lock = threading.RLock()
_called: dict[str, Mount] = {}
_hidden: set[str] = set()


def find(name: str) -> Mount | None:
    """Return the mount of this name, which is the scheme of a URL; None if there is none.

    Raises:
        InvalidInput: configuration says something of this name that makes no sense.
    """
    name = name.lower()
    if name in _UNMOUNTABLE:
        return None
    for one in dict.fromkeys((name, default_of(name))):
        found = _called.get(one) or (_configured(one) if one not in _hidden else None)
        if found:
            return found
    return None


def mount(
    storage_type: str | None = None,
    *,
    url: str | None = None,
    provider: str | None = None,
    bucket: str | None = None,
    prefix: str | None = None,
    client_id: str | None = None,
    secret_id: str | None = None,
    endpoint_url: str | None = None,
    replace: bool = False,
    save: bool = False,
    config: str | os.PathLike[str] | None = None,
    **options: object,
) -> Mount:
    """Give a store a name, so that ``name://path`` is in it. Nothing is sent; whether it works shows when it is used.

    Args:
        storage_type: the name. If it is a scheme (``s3``), the mount gives default options to all URLs of this scheme.
        url: what the name stands for, such as ``s3://bucket/prefix``, also in another mount or a repository; never with credentials in it.
        provider: where, if there is no `url`: ``s3``, ``minio``, ``gs``, ``az``, ``ovh``, ``sftp``, … with neither, configuration says it
            (section ``[storage.name]``), or the name itself does.
        bucket: at the provider; without one, the first part of a path is the bucket.
        prefix: what all keys begin with.
        client_id: who asks: an access key, an account, a user name.
        secret_id: what proves it: a secret key, a password.
        endpoint_url: the address of the service, where it is not the provider's only one.
        replace: whether another mount of this name makes way.
        save: whether it is kept in the user's own file, for later.
        config: a configuration file that is asked first.
        options: all else that the store takes, and `unsecure` (plain http will do), `region`, `project_id`, `auth_url`,
            `storage_parameters`.

    Raises:
        InvalidInput: the name or the place makes no sense, or nobody knows the provider.
        AlreadyExists: this name is mounted with other parameters, and `replace` is not set.
        NotFound: there is no such file `config`.
        StoreError: it could not be saved.
    """
    if not storage_type:
        raise InvalidInput("a mount needs a name: mount('my_storage', url='s3://bucket/prefix')")
    name = check_name(storage_type)
    given = {"url": url, "provider": provider, "bucket": bucket, "prefix": prefix, "client_id": client_id, "secret_id": secret_id}
    said = {key: value for key, value in {**given, "endpoint_url": endpoint_url, **options}.items() if value not in (None, "")}
    base = _base(name, said, config)
    made = _called_for(name, base, said)
    kept = _kept(name, said, config) if save else None
    with _lock:
        old = _called.get(made.name)
        if old is not None and not replace and not _is_same(old, made):
            raise AlreadyExists(f"{made.name!r} is mounted with other parameters: replace=True mounts it anew, or take another name")
        if kept is not None:
            _save(kept, replace=replace)
        _called[made.name] = made
        _hidden.discard(made.name)
    if made.url:
        with contextlib.suppress(Exception):  # its own configuration may be broken: whoever uses it is told, and nobody else is hindered
            announce(made.name)
    return made


def unmount(name: str, *, saved: bool = False) -> None:
    """Forget a mount, in this process; with `saved`, take it out of the user's own file too.

    Raises:
        NotFound: there is none; with `saved`, the user's own file has none.
        StoreError: the file can't be written.
    """
    name = name.lower()
    with _lock:
        if name not in _called and name not in _table().entries:
            name = default_of(name)
        is_there = name in _called or (name not in _hidden and name in _table().entries)
        if saved:
            saving.forget(name)
        elif not is_there:
            raise NotFound(f"there is no mount {name!r}; there are {', '.join(mounts()) or 'none'}")
        elif name not in _called:
            _hidden.add(name)
        _called.pop(name, None)


def mounts() -> dict[str, Mount]:
    """Return all mounts, sorted by name. What is broken is left out."""
    found = dict(_called)
    for name in _table().entries.keys() - _hidden - found.keys():
        try:
            if made := _configured(name):
                found[name] = made
        except InvalidInput:
            continue  # whoever asks for it is told
    return dict(sorted(found.items()))


def saved_in() -> str:
    """Return the path of the user's own file."""
    return saving.own_file()


def _mount(found: Place, *, origin: str) -> Mount:
    return Mount(name=found.name, url=found.url, provider=found.provider, options=found.options, origin=origin)


def _is_same(one: Mount, other: Mount) -> bool:
    return (one.url, one.provider, one.options) == (other.url, other.provider, other.options)


def _known(table: Table | None = None) -> Known:
    """Return what the URL of a mount may begin with."""
    entries = (table or _table()).entries
    return Known(schemes=schemes().keys(), mounts=(entries.keys() | _called.keys()) - schemes().keys(), others=_opens)


def _opens(scheme: str) -> bool:
    """Say whether there are stores of a scheme that is not in our table."""
    try:
        urls.find(scheme)
    except InvalidInput:
        return False
    return True


def _base(name: str, said: Said, config: str | os.PathLike[str] | None) -> list[Said]:
    """Return what configuration adds to a call: to one that names no place, all; else what names none either."""
    entry = None
    if config is not None:
        entry, problems = configuration.said_in(os.path.expanduser(os.fspath(config)), name)
        _warn(problems)
    entries = _table(calling=name).entries
    for one in (name, default_of(name), spelled(name).lower()):
        entry = entry or entries.get(one)
    if entry is None:
        return []
    found = entry.said()
    return [] if says_where(said) and says_where(found) else [found]


def _kept(name: str, said: Said, config: str | os.PathLike[str] | None) -> Mount:
    """Return what is saved of a call: nothing of the environment, where secrets may be that are to be on no disk."""
    base: list[Said] = []
    if config is not None:
        entry, _ = configuration.said_in(os.path.expanduser(os.fspath(config)), name, variables={})
        base = [entry.said()] if entry else []
    elif old := saving.saved(filed_as(name, said)):
        base = [old]
    base = [one for one in base if not (says_where(said) and says_where(one))]
    return _called_for(name, base, said)


def _called_for(name: str, base: list[Said], said: Said) -> Mount:
    """Return the mount of a call. What configuration adds and no store knows, it was warned of; what the call says, the store judges."""
    found = place(name, *base, said, known=_known())
    return _mount(found.without([key for key in unknown(found.scheme, found.options) if base and key not in said]), origin="call")


def _save(made: Mount, *, replace: bool) -> None:
    """Write a mount to the user's own file.

    Raises:
        AlreadyExists: it says other things of this name, and `replace` is not set.
    """
    said = {**({"url": made.url} if made.url else {}), "provider": made.provider, **made.options}
    old = saving.saved(made.name)
    if old is not None and old != said and not replace:
        raise AlreadyExists(f"{saving.own_file()} has another mount {made.name!r}: replace=True replaces it, or take another name")
    if old != said:
        saving.write(made.name, said)


def _configured(name: str) -> Mount | None:
    """Return the mount that configuration says.

    Raises:
        InvalidInput: it makes no sense.
    """
    table = _table()
    entry = table.entries.get(name)
    return _mount(entry.place(_known(table))[0], origin=entry.origin) if entry else None


def _table(*, calling: str = "") -> Table:
    """Return what configuration says, and warn of what is broken if it has just been read.

    What it says of the name of a call is for the call to judge.
    """
    table, is_new = configuration.load()
    if is_new:
        _warn([*table.problems, *_broken(table, {calling, default_of(calling), *_called})])
    return table


def _broken(table: Table, but: Collection[str]) -> Iterable[str]:
    """Tell what is wrong with the sections of our own files. Those of other programs are theirs."""
    for name, entry in table.entries.items():
        if not entry.is_ours or name in but:
            continue
        try:
            _, strange = entry.place(_known(table))
        except InvalidInput as error:
            if not entry.completes:
                yield str(error)
        else:
            if strange:
                yield strange


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        warnings.warn(problem, ConfigWarning, stacklevel=3)
