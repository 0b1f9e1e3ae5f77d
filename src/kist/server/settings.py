"""What the admin of a server sets: one TOML file, and environment variables that come before it.

``[limits] json_bytes`` is `KIST_SERVER_LIMITS_JSON_BYTES` in the environment; a list is written with commas there. What is secret may also
be said as the path of a file that holds it: ``client_secret_file``. A word that nothing knows is an error, for a setting that does not
count is worse than none. No repr shows a secret.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, cast, override
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, inspect

from kist.errors import InvalidInput, NotFound
from kist.service.rooms import Rules

__all__ = ["PREFIX", "Keys", "Limits", "Listen", "Log", "Metrics", "Oidc", "ServerSettings", "load_settings"]

PREFIX: Final = "KIST_SERVER_"
_FILE: Final = "_file"
_SECRETS: Final = frozenset({"database", "client_secret", "token"})
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Port = Annotated[int, Meta(ge=0, le=65535)]
Some = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Rate = Annotated[float, Meta(gt=0)]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of one kind."""

    @override
    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _SECRETS)
        return f"{type(self).__name__}({', '.join(shown)})"


class Keys(_Section, frozen=True, kw_only=True):
    """Where the keyring is that seals all secrets: in a `file`, in an environment variable (`env`), or printed by a `command`."""

    file: str = ""
    env: str = ""
    command: list[str] = []

    @property
    def source(self) -> str | list[str]:
        """What `load_keyring` takes."""
        return f"env:{self.env}" if self.env else self.file or self.command


class Listen(_Section, frozen=True, kw_only=True):
    """The address to listen at, and the files of a certificate and its key; without them something in front speaks TLS."""

    host: str = "127.0.0.1"
    port: Port = 7878
    tls_certificate: str = ""
    tls_key: str = ""


class Limits(_Section, frozen=True, kw_only=True):
    """How much one may ask for. Rates are requests a second over any longer time, `burst` how many at once; sizes are bytes."""

    principal_rate: Rate = 50.0
    principal_burst: Some = 200
    address_rate: Rate = 100.0
    address_burst: Some = 400
    login_rate: Rate = 0.5
    login_burst: Some = 10
    json_bytes: Some = 1 << 20
    object_bytes: Some = 64 << 20
    header_bytes: Some = 32 << 10
    buffered_bytes: Some = 512 << 20
    body_seconds: Seconds = 60.0
    header_seconds: Seconds = 15.0
    stop_seconds: Seconds = 30.0
    threads: Some = 32
    connections: Some = 1000


class Log(_Section, frozen=True, kw_only=True):
    """How the log is written: one JSON object a line, or text; and from which level on."""

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Metrics(_Section, frozen=True, kw_only=True):
    """Who may see ``/metrics``: this machine, and with a `token` whoever sends it as ``Authorization: Bearer …``."""

    enabled: bool = True
    token: str = ""


class Oidc(_Section, frozen=True, kw_only=True):
    """Another service that says who somebody is. With `create_users`, whoever it knows becomes a user; of `allowed_domains`, if said."""

    issuer: str
    client_id: str
    client_secret: str = ""
    create_users: bool = False
    allowed_domains: list[str] = []


class ServerSettings(_Section, frozen=True, kw_only=True):
    """All that can be set."""

    database: str
    keys: Keys
    public_url: str = ""
    allowed_hosts: list[str] = []
    trusted_proxies: list[str] = []
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    jobs: Annotated[int, Meta(ge=0, le=16)] = 1
    local_roots: list[str] = []
    endpoints: list[str] = []
    ambient: bool = False
    users_create_orgs: bool = True
    listen: Listen = Listen()
    limits: Limits = Limits()
    log: Log = Log()
    metrics: Metrics = Metrics()
    oidc: Oidc | None = None

    @property
    def url(self) -> str:
        """Where people find the server."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "https" if self.listen.tls_certificate else "http"
        host = f"[{self.listen.host}]" if ":" in self.listen.host else self.listen.host
        return f"{scheme}://{host}:{self.listen.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """What the header Host of a request may say."""
        port = self.listen.port
        own = {f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}", urlsplit(self.url).netloc.lower()}
        return frozenset(own | {host.lower() for host in self.allowed_hosts})

    @property
    def rules(self) -> Rules:
        """What the service may do."""
        return Rules(
            local_roots=tuple(self.local_roots),
            endpoints=tuple(self.endpoints),
            ambient=self.ambient,
            users_create_orgs=self.users_create_orgs,
        )


def load_settings(path: str | os.PathLike[str] | None, environment: Mapping[str, str] = os.environ) -> ServerSettings:
    """Read the settings of a server; without a path the environment says all.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a setting is missing, unknown or makes no sense; the message names it, and where it was said.
    """
    where = "the environment" if path is None else str(path)
    values = {} if path is None else _read(Path(path))
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX):
            _put(values, name, text)
    _resolve_files(values, where)
    try:
        settings = msgspec.convert(values, ServerSettings)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the settings of the server ({where}): {_explained(str(error))}") from error
    _check(settings, where)
    return settings


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise NotFound(f"there are no settings of a server at {path}") from None
    except OSError as error:
        raise InvalidInput(f"the settings of the server can't be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is no TOML: {error}") from error


def _put(values: dict[str, object], name: str, text: str) -> None:
    """Put what an environment variable says among the values."""
    word = name.removeprefix(PREFIX).lower()
    sections = {one.name: kind for one in _fields(ServerSettings) if (kind := _section(one.type))}
    section = next((one for one in sections if word.startswith(f"{one}_")), None)
    key = word.removeprefix(f"{section}_") if section else word
    known = {one.name: one.type for one in (_fields(sections[section]) if section else _fields(ServerSettings))}
    plain = key.removesuffix(_FILE)
    if key in known and not _section(known[key]):
        value = _of_text(known[key], text, name)
    elif key.endswith(_FILE) and plain in _SECRETS and plain in known:
        value = text
    else:
        raise InvalidInput(f"the environment variable {name} sets nothing that a server knows")
    inner = values.setdefault(section, {}) if section else values
    if not isinstance(inner, dict):
        raise InvalidInput(f"{section} is a section: write [{section}] before its keys")
    if plain in _SECRETS:
        inner.pop(plain, None)
        inner.pop(plain + _FILE, None)
    inner[key] = value


def _of_text(kind: inspect.Type, text: str, name: str) -> object:
    """Return what the text of a variable means as a value of this kind."""
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(kind, inspect.ListType):
        return [one.strip() for one in text.split(",") if one.strip()]
    if isinstance(kind, inspect.BoolType):
        if text.lower() not in _TRUTHS:
            raise InvalidInput(f"the environment variable {name} must be true or false")
        return _TRUTHS[text.lower()]
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        try:
            return int(text) if isinstance(kind, inspect.IntType) else float(text)
        except ValueError:
            raise InvalidInput(f"the environment variable {name} must be a number") from None
    return text


def _resolve_files(values: dict[str, object], where: str) -> None:
    """Replace the paths of files that hold a secret by what they hold."""
    for inner in (values, *(value for value in values.values() if isinstance(value, dict))):
        section = cast("dict[str, object]", inner)
        for name in [name for name in section if name.endswith(_FILE) and name.removesuffix(_FILE) in _SECRETS]:
            plain, path = name.removesuffix(_FILE), str(section.pop(name))
            if plain in section:
                raise InvalidInput(f"the settings of the server ({where}) say both {plain} and {name}: choose one")
            try:
                section[plain] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidInput(f"{name} of the server can't be read: {type(error).__name__} at {path}") from error


def _check(settings: ServerSettings, where: str) -> None:
    """Raise for values that do not fit together."""
    keys = settings.keys
    url = urlsplit(settings.public_url)
    wrong = {
        "[keys] needs one of file, env and command": sum(map(bool, (keys.file, keys.env, keys.command))) != 1,
        "database is empty": not settings.database,
        "public_url must be http(s)://host[:port], without a path": bool(settings.public_url)
        and (
            url.scheme not in {"http", "https"} or not url.netloc or url.path.strip("/") or url.query or url.fragment or "@" in url.netloc
        ),
        "[listen] tls_certificate and tls_key go together": bool(settings.listen.tls_certificate) != bool(settings.listen.tls_key),
        "[limits] buffered_bytes must be more than object_bytes": settings.limits.buffered_bytes < settings.limits.object_bytes,
        "trusted_proxies must be addresses or networks": not all(map(_is_network, settings.trusted_proxies)),
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise InvalidInput(f"the settings of the server ({where}): {message}")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _explained(message: str) -> str:
    """Return what msgspec says, with the section and the key as an admin wrote them."""
    what, _, place = message.partition(" - at `$")
    parts = place.rstrip("`").strip(".").split(".")
    told = what[:1].lower() + what[1:]
    told = told.replace("object contains unknown field", "there is no key").replace("object missing required field", "there must be a key")
    return f"[{parts[0]}] {told}" if parts[0] in _sections() and len(parts) == 1 else f"{_named(parts)}{told}"


def _named(parts: list[str]) -> str:
    if not parts[0]:
        return ""
    return f"[{parts[0]}] {'.'.join(parts[1:])}: " if parts[0] in _sections() else f"{'.'.join(parts)}: "


def _fields(section: type) -> tuple[inspect.Field, ...]:
    return cast("inspect.StructType", inspect.type_info(section)).fields


def _section(kind: inspect.Type) -> type | None:
    """Return the section that a key of the file stands for, if it does."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return next((one.cls for one in kinds if isinstance(one, inspect.StructType)), None)


def _sections() -> frozenset[str]:
    return frozenset(one.name for one in _fields(ServerSettings) if _section(one.type))
