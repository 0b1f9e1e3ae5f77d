"""Reads mounts from configuration: our TOML, the older INI, the environment. Nothing is opened that the files name.

A broken line, section or file is one problem, with file, line and section; what else they say still counts. Files may be hostile: only
regular ones are read, no more than a megabyte, and from the working directory only such as belong to this user or to root.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from kist.errors import KistError, NotFound, StoreError
from kist.stores.mounts.options import holds_secret

__all__ = ["Document", "Section", "environment", "ini_lines", "parts", "read_text", "sections", "spelled"]

LONGEST_BYTES: Final = 1 << 20
_GROUPS: Final = frozenset({"options", "storage_parameters", "headers", "client", "session", "client_kwargs", "os_options"})
_HEADER: Final = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_BEGINNING: Final = re.compile(r"^\[(.*)")
_AT_LINE: Final = re.compile(r"\(at line (\d+)")
_VARIABLE: Final = "KIST_MOUNT_"
_HOST_KEYS: Final = ("client_id", "secret_id", "region", "project_id", "auth_url")
_KEYS: Final = (
    *("url", "provider", "bucket", "prefix", "client_id", "secret_id", "endpoint_url", "endpoint", "unsecure", "region", "project_id"),
    *("auth_url", "access_key_id", "secret_access_key", "session_token", "profile", "account_name", "account_key", "account_id"),
    *("sas_token", "tenant_id", "client_secret", "service_account_path", "service_account_key", "username", "password", "token", "host"),
    *("port", "key_filename", "passphrase", "known_hosts", "host_key_policy", "auth_version", "project_name", "user_domain_name"),
    *("project_domain_name", "allow_http", "skip_signature", "timeout_seconds", "connect_timeout_seconds", "retry_seconds", "tls"),
    *("max_retries", "virtual_hosted_style_request", "role_arn", "bearer_token", "base_url", "ca_file", "temp_url_key", "agent"),
    *("application_credential_id", "application_credential_secret", "application_credentials", "storage_url", "segment_bytes"),
)
"""What the name of a variable may end in; the longest counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one section says; `lines` tells where. `title` is how the file calls it."""

    name: str
    said: Mapping[str, object] = field(repr=False)
    file: str
    title: str
    lines: Mapping[str, int] = field(default_factory=dict)
    line: int = 0
    inherited: frozenset[str] = frozenset()  # what it has from others; that a store has no use for it is no mistake

    def at(self, key: str = "") -> str:
        """Say where this is, for a message."""
        if not self.file:
            return f"the variable {self.title}"
        line = self.lines.get(key) or self.line
        return f"{self.file}{f', line {line}' if line else ''}, section [{self.title}]" + (f", key {key!r}" if key else "")


@dataclass(slots=True, kw_only=True)
class Document:
    """What a file says: its sections by the names of mounts, and what is wrong with it."""

    file: str
    sections: dict[str, Section] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_text(path: str, *, mine: bool = False) -> tuple[str, bool]:
    """Return a file's text, and whether others may read it.

    Args:
        path: of the file.
        mine: whether it has to belong to this user, or to root.

    Raises:
        NotFound: there is none.
        StoreError: it can't be read, or had better not be.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} can't be read: {error}") from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise StoreError(f"{path} is not read: it is no regular file")
    with open(handle, "rb") as file:
        if mine and found.st_uid not in {0, os.geteuid()}:
            raise StoreError(
                f"{path} is not read: it belongs to somebody else (uid {found.st_uid}); KIST_CONFIG={path} reads it all the same"
            )
        try:
            data = file.read(LONGEST_BYTES + 1)
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} can't be read: {error}") from error
    if len(data) > LONGEST_BYTES:
        raise StoreError(f"{path} is not read: it is longer than a megabyte")
    return text, bool(found.st_mode & (stat.S_IRGRP | stat.S_IROTH))


def sections(path: str, *, mine: bool = False) -> Document:
    """Read a file of ours, or of the older format, by what it looks like.

    Raises:
        NotFound: there is no such file.
    """
    document = Document(file=path)
    try:
        text, is_shared = read_text(path, mine=mine)
    except NotFound:
        raise
    except KistError as error:
        document.problems.append(str(error))
        return document
    if path.endswith((".conf", ".ini", ".cfg")) or not (path.endswith(".toml") or _is_toml(text)):
        _read_ini(text, document)
    else:
        _read_toml(text, document)
    secret = next((one for one in document.sections.values() if holds_secret(one.said)), None)
    if is_shared and secret:
        document.problems.append(f"others may read the secrets in {path}, section [{secret.title}]: chmod 600 {path}")
    return document


def environment(variables: Mapping[str, str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return what ``KIST_MOUNT_…`` variables say, by the part of their name that names a mount, and what is wrong with them."""
    said: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for variable in sorted(variables):
        rest = variable.removeprefix(_VARIABLE)
        if rest == variable or not rest or not variables[variable]:
            continue
        found = max((key for key in _KEYS if rest.endswith(f"_{key.upper()}") and len(rest) > len(key) + 1), key=len, default="")
        is_url = "://" in variables[variable] or variables[variable].startswith(("/", "~/"))
        if "://" in variables[variable] and not found.endswith(("url", "endpoint")):
            found = ""  # `my_host` is a good name for a mount
        name, key = (rest[: -len(found) - 1], found) if found else (rest, "url")
        if not found and not is_url:
            problems.append(f"the variable {variable} ends in no known key, such as _SECRET_ID, and holds no URL: it is ignored")
            continue
        said.setdefault(name, {})[key] = variables[variable]
    return said, problems


def spelled(name: str) -> str:
    """Return how variables spell the name of a mount."""
    return "".join(sign if sign.isalnum() else "_" for sign in name.upper())


def ini_lines(text: str) -> Iterator[tuple[int, str, str, str | None]]:
    """Yield ``(line, section, key, value)``; a header has an empty key, and what is neither header nor setting the value None.

    As `configparser` reads it: full-line comments, lower-case keys, ``=`` or ``:``, and values that go on in lines that are indented.
    """
    section = ""
    pending: tuple[int, str, str, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", ";")):
            continue
        if pending and line[0].isspace():
            at, where, key, value = pending
            pending = at, where, key, f"{value}\n{stripped}".strip()
            continue
        if pending:
            yield pending
            pending = None
        if header := re.fullmatch(r"\[(.+)\]", stripped):
            section = header[1].strip()
            yield number, section, "", ""
        elif section and (parts := re.match(r"([^=:]+?)\s*[=:]\s*(.*)", stripped)):
            pending = number, section, parts[1].lower(), parts[2]
        else:
            yield number, section, "", None
    if pending:
        yield pending


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True


def _read_ini(text: str, document: Document) -> None:
    """Read the older format: ``[storage.name]`` falls back to ``[storage]``, then to ``[host.name]``."""
    found: dict[str, dict[str, object]] = {}
    lines: dict[str, dict[str, int]] = {}
    broken: set[str] = set()
    again = False
    for line, section, key, value in ini_lines(text):
        if not key and value == "":
            again = section in found and section.startswith("storage.")
            if again:
                document.problems.append(f"{document.file}, line {line}, section [{section}] is there already; it is ignored")
        if again:
            continue
        if value is None:
            title = f", section [{section}]" if section else ""
            if section in broken or (section and not section.startswith("storage")):
                continue
            broken.add(section)
            document.problems.append(f"{document.file}, line {line}{title}: neither a section nor a setting; it is ignored")
            continue
        found.setdefault(section, {})
        lines.setdefault(section, {})[key] = line
        if key and value:
            found[section][key] = value.replace("%%", "%")
    for title, said in found.items():
        kind, _, name = title.partition(".")
        if kind == "storage" and name:
            above = found.get(f"storage.{name.partition('.')[0]}", {})  # of storage.aws.second, what storage.aws says
            whole = {**_host(name.partition(".")[0], found), **found.get("storage", {}), **above, **said}
            at, inherited = lines[title], frozenset(whole.keys() - said.keys())
            _add(
                document, Section(name=name, said=whole, file=document.file, title=title, lines=at, line=at.get("", 0), inherited=inherited)
            )


def _host(name: str, found: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return what the host of the same name says that a store may need, too."""
    whole = found.get("host", {})
    own = whole if str(whole.get("host_type", "")).lower() == name.lower() else {}
    said = {**own, **found.get(f"host.{name}", {})}
    return {key: said[key] for key in _HOST_KEYS if key in said}


def _read_toml(text: str, document: Document) -> None:
    whole: dict[str, object] = {}
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        whole = _salvaged(text, document)
    storage = whole.get("storage", {})
    if not isinstance(storage, dict):
        document.problems.append(f"{document.file}: 'storage' is no table: write [storage.name]")
        return
    common = {key: value for key, value in storage.items() if not isinstance(value, dict)}
    for name, said in storage.items():
        if isinstance(said, dict):
            _add_tables(document, text, name, said, common)


def _add_tables(document: Document, text: str, name: str, said: Mapping[str, object], common: Mapping[str, object]) -> None:
    """Add a table, and those in it: ``[storage.aws.second]`` is a mount of its own."""
    inner = {key: value for key, value in said.items() if isinstance(value, dict) and key not in _GROUPS}
    own = {key: value for key, value in said.items() if key not in inner}
    if own or not inner:
        title = f"storage.{name}"
        at, inherited = _lines(text, title), frozenset(common.keys() - own.keys())
        whole = {**common, **own}
        _add(document, Section(name=name, said=whole, file=document.file, title=title, lines=at, line=at.get("", 0), inherited=inherited))
    for key, value in inner.items():
        _add_tables(document, text, f"{name}.{key}", value, {**common, **own})


def _salvaged(text: str, document: Document) -> dict[str, object]:
    """Read section by section what can't be read as a whole."""
    whole: dict[str, object] = {}
    for start, title, part in parts(text, header=_BEGINNING):
        try:
            _merge(whole, tomllib.loads(part))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            at = _AT_LINE.search(str(error))
            line = start + (int(at[1]) - 1 if at else 0)
            what = re.sub(r" \(at .*\)", "", str(error)) if isinstance(error, tomllib.TOMLDecodeError) else "too deep"
            document.problems.append(f"{document.file}, line {line}{f', section [{title}]' if title else ''}: {what}; it is ignored")
    return whole


def parts(text: str, *, header: re.Pattern[str] = _HEADER) -> Iterator[tuple[int, str, str]]:
    """Yield each section of a TOML file: the line where it begins, its title, its text."""
    start, title, part = 1, "", list[str]()
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if begins := header.match(line.rstrip()):
            yield start, title, "".join(part)
            start, title, part = number, begins[1].strip("[] "), []
        part.append(line)
    yield start, title, "".join(part)


def _merge(whole: dict[str, object], more: Mapping[str, object]) -> None:
    for key, value in more.items():
        there = whole.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            _merge(there, value)
        else:
            whole[key] = value


def _lines(text: str, title: str) -> dict[str, int]:
    """Return where a section begins, as the line of the empty key, and where its keys are, as far as that is plain to see."""
    for start, found, part in parts(text):
        if re.sub(r"[\s\"']", "", found) == re.sub(r"\s", "", title):
            keys = ((start + at, re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line)) for at, line in enumerate(part.splitlines()))
            return {"": start} | {key[1]: line for line, key in keys if key}
    return {}


def _add(document: Document, section: Section) -> None:
    name = section.name.lower()
    if name in document.sections:
        document.problems.append(f"{section.at()} says again what {document.sections[name].at()} says, and is ignored")
    else:
        document.sections[name] = section
