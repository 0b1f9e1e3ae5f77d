"""Reads the remotes of rclone's configuration as mounts: ``rclone.conf`` and ``RCLONE_CONFIG_…`` variables.

Kinds of remotes that kist has no store for are left alone, and so are settings that only tune rclone. Passwords that rclone obscures
(AES-CTR with a key that its source publishes) are made readable when a mount is used, not before.
"""

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from kist.errors import InvalidInput
from kist.stores.mounts.files import Document, Section, ini_lines, read_text
from kist.stores.mounts.options import is_true, split_address

__all__ = ["config_paths", "remotes", "said_by"]

_ENCRYPTED: Final = "RCLONE_ENCRYPT_V"
_KEY: Final = bytes.fromhex("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638")
_NONCE_BYTES: Final = 16
_VARIABLE: Final = re.compile(r"RCLONE_CONFIG_(.+)_TYPE")

type Said = dict[str, object]


def config_paths() -> list[str]:
    """Return where rclone's configuration may be; the first that exists counts."""
    if named := os.environ.get("RCLONE_CONFIG"):
        return [os.path.expanduser(named)]
    base, home = os.environ.get("XDG_CONFIG_HOME", ""), os.path.expanduser("~")
    folder = base if os.path.isabs(base) else os.path.join(home, ".config")
    return [os.path.join(folder, "rclone", "rclone.conf"), os.path.join(home, ".rclone.conf")]


def remotes(path: str, variables: Mapping[str, str]) -> Document:
    """Return all remotes as rclone calls their settings; variables go before the file. A missing file is none.

    Raises:
        KistError: the file can't be read.
    """
    document = Document(file=path)
    said: dict[str, dict[str, object]] = {}
    lines: dict[str, dict[str, int]] = {}
    if os.path.exists(path):
        text, _ = read_text(path)
        if _ENCRYPTED in text:
            text = ""  # nobody knows what it says
        for line, title, key, value in ini_lines(text):
            said.setdefault(title, {})
            lines.setdefault(title, {})[key] = line
            if key and value:
                said[title][key] = value
    for name in {found[1] for found in map(_VARIABLE.fullmatch, variables) if found} | said.keys():
        start = f"RCLONE_CONFIG_{name.upper().replace('-', '_')}_"
        spoken: Said = {key[len(start) :].lower(): value for key, value in variables.items() if key.startswith(start)}
        whole = {**said.get(name, {}), **spoken}
        if not whole.get("type"):
            continue
        where = lines.get(name, {})
        section = Section(
            name=name, said=whole, file=path if where else "", title=name if where else f"{start}TYPE", lines=where, line=where.get("", 0)
        )
        document.sections.setdefault(name.lower(), section)
    return document


def said_by(section: Section) -> Said:
    """Return what a remote says, in the words of mounts.

    Raises:
        InvalidInput: kist has no store for it.
    """
    kind = str(section.said["type"]).strip().lower()
    told = _KINDS.get(kind)
    if told is None:
        raise InvalidInput(f"{section.at('type')} is of rclone's type {kind!r}, which kist has no store for")
    return told({key: str(value).strip() for key, value in section.said.items()}, section)


def _s3(said: Mapping[str, str], section: Section) -> Said:
    if said.get("provider", "").lower() == "alibaba":
        raise InvalidInput(f"{section.at('provider')} needs its bucket: mount it with provider='oss', bucket= and region=")
    found = _picked(said, "access_key_id", "secret_access_key", "session_token", "region", "endpoint", "profile")
    if not found.keys() & {"access_key_id", "profile"} and not is_true(said.get("env_auth", "")):
        found["skip_signature"] = True  # so rclone does
    if said.get("provider", "").lower() == "cloudflare":
        found.setdefault("region", "auto")
    return {"url": "s3://", **found}


def _gs(said: Mapping[str, str], section: Section) -> Said:
    found = _picked(said, "endpoint", service_account_file="service_account_path", service_account_credentials="service_account_key")
    if is_true(said.get("anonymous", "")):
        found["skip_signature"] = True
    elif "token" in said and not found.keys() & {"service_account_path", "service_account_key"}:
        raise InvalidInput(f"{section.at('token')} is a login of rclone's own: kist needs service_account_file")
    return {"url": "gs://", **found}


def _az(said: Mapping[str, str], section: Section) -> Said:
    names = {"account": "account_name", "key": "account_key", "tenant": "tenant_id"}
    found = _picked(said, "endpoint", "client_secret", **names)
    if "tenant_id" in found:
        found |= _picked(said, "client_id")
    if "sas_url" in said:
        parts = split_address(said["sas_url"])
        found |= {"sas_token": parts.query, "account_name": (parts.hostname or "").partition(".")[0]}
    if is_true(said.get("use_emulator", "")):
        found["use_emulator"] = True
    if "connection_string" in said or "client_certificate_path" in said:
        raise InvalidInput(f"{section.at()} logs in by connection_string or certificate: kist needs account and key, or sas_url")
    return {"url": "az://", **found}


def _swift(said: Mapping[str, str], _: Section) -> Said:
    names = {
        "user": "username",
        "key": "password",
        "auth": "auth_url",
        "domain": "user_domain_name",
        "tenant": "project_name",
        "tenant_id": "project_id",
        "tenant_domain": "project_domain_name",
        "auth_token": "token",
    }
    found = _picked(said, "region", "storage_url", "application_credential_id", "application_credential_secret", **names)
    if said.get("auth_version", "0") != "0":
        found["auth_version"] = said["auth_version"]
    return {"url": "swift://", **found}


def _sftp(said: Mapping[str, str], section: Section) -> Said:
    """Paths of such a remote begin at the user's home, as they do for rclone."""
    found = _picked(said, "host", "port", user="username", key_file="key_filename", known_hosts_file="known_hosts")
    if "key_pem" in said:
        raise InvalidInput(f"{section.at('key_pem')} holds a key: kist reads keys from files, key_file")
    return {"provider": "sftp", "prefix": "~", **found, **_revealed(said, section, **{"pass": "password", "key_file_pass": "passphrase"})}


def _ftp(said: Mapping[str, str], section: Section) -> Said:
    found = _picked(said, "host", "port", user="username")
    for key, tls in (("tls", "implicit"), ("explicit_tls", "explicit")):
        if is_true(said.get(key, "")):
            found |= {"provider": "ftps", "tls": tls}
    return {"provider": "ftp", **found, **_revealed(said, section, **{"pass": "password"})}


def _webdav(said: Mapping[str, str], section: Section) -> Said:
    found = _picked(said, url="endpoint_url", user="username", bearer_token="token")  # noqa: S106  the name of an option
    return {"provider": "webdav", **found, **_revealed(said, section, **{"pass": "password"})}


def _alias(said: Mapping[str, str], section: Section) -> Said:
    remote, colon, path = said.get("remote", "").partition(":")
    if not colon and remote.startswith("/"):
        return {"url": remote}
    if not colon or not remote or "," in remote:
        raise InvalidInput(f"{section.at('remote')} leads to {said.get('remote')!r}: kist takes NAME:PATH, or a path from the root on")
    return {"url": f"{remote.lower()}://{path.strip('/')}"}


_KINDS: Final[dict[str, Callable[[Mapping[str, str], Section], Said]]] = {
    "s3": _s3,
    **dict.fromkeys(("google cloud storage", "gcs", "googlecloudstorage"), _gs),
    "azureblob": _az,
    "swift": _swift,
    "sftp": _sftp,
    "ftp": _ftp,
    "webdav": _webdav,
    "http": lambda said, _: {"provider": "http", "endpoint_url": said.get("url", "")},
    "local": lambda _, __: {"url": "/"},
    "alias": _alias,
    "memory": lambda _, __: {"provider": "memory"},
}


def _picked(said: Mapping[str, str], *same: str, **renamed: str) -> Said:
    names = {**{name: name for name in same}, **renamed}
    return {own: said[name] for name, own in names.items() if said.get(name)}


def _revealed(said: Mapping[str, str], section: Section, **names: str) -> Said:
    return {own: _reveal(said[name], section.at(name)) for name, own in names.items() if said.get(name)}


def _reveal(text: str, at: str) -> str:
    """Return what rclone obscured: a nonce and AES-CTR, in base64."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415  only where a password is asked for
    except ImportError as error:
        raise InvalidInput(f"{at} is obscured by rclone, and to read it takes more than is installed: pip install cryptography") from error
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cipher = Cipher(algorithms.AES(_KEY), modes.CTR(data[:_NONCE_BYTES]))
        return cipher.decryptor().update(data[_NONCE_BYTES:]).decode()
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{at} is not as rclone obscures passwords: rclone config password writes it anew") from None
