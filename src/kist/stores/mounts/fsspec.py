"""Reads fsspec's configuration: default options of protocols, from its files and ``FSSPEC_…`` variables.

What is known of S3, Google Cloud Storage, Azure, SFTP, FTP and the web is translated; what only tunes fsspec (caches, block sizes, …)
is left alone.
"""

import json
import os
from collections.abc import Mapping
from typing import Final

from kist.errors import InvalidInput, KistError
from kist.stores.mounts.files import Document, Section, ini_lines, read_text
from kist.stores.mounts.options import is_true

__all__ = ["config_folder", "defaults", "said_by"]

_PROTOCOLS: Final = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "az"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    "ftp": "ftp",
    "webdav": "webdav",
}
"""The protocols that are read, and the scheme whose default options they give."""

_NAMES: Final[dict[str, dict[str, str]]] = {
    "s3": {
        "key": "access_key_id",
        "secret": "secret_access_key",
        "token": "session_token",
        "endpoint_url": "endpoint",
        "region_name": "region",
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "profile": "profile",
        "anon": "skip_signature",
    },
    "gs": {"endpoint_url": "base_url"},
    "az": {
        **{name: name for name in ("account_name", "account_key", "sas_token", "client_id", "client_secret", "tenant_id")},
        "account_host": "endpoint",
    },
    "sftp": {name: name for name in ("username", "password", "port", "key_filename", "passphrase")},
    "ftp": {name: name for name in ("username", "password", "port")},
    "webdav": {"username": "username", "password": "password"},
}


def config_folder() -> str:
    """Return where fsspec's configuration is."""
    return os.environ.get("FSSPEC_CONFIG_DIR") or os.path.join(os.path.expanduser("~"), ".config", "fsspec")


def defaults(paths: list[str], variables: Mapping[str, str]) -> Document:
    """Return default options by the schemes that they are for; later files go before earlier ones, variables before all."""
    document = Document(file=os.path.dirname(paths[0]) if paths else "")
    for path in paths:
        try:
            text, _ = read_text(path)
            found = _json(text, path) if path.endswith(".json") else _ini(text)
        except KistError as error:
            document.problems.append(str(error))
            continue
        for protocol, said in found.items():
            _add(document, protocol, said, path)
    for protocol, said in _spoken(variables).items():
        _add(document, protocol, said, "")
    return document


def said_by(section: Section) -> dict[str, object]:
    """Return default options in the words of mounts.

    Raises:
        InvalidInput: an option is one that kist can't take over.
    """
    scheme, said = section.name, dict(section.said)
    if isinstance(client := said.pop("client_kwargs", None), Mapping):
        said = {**client, **said}
    names = _NAMES[scheme]
    found = {names[name]: value for name, value in said.items() if name in names and value not in (None, "")}
    if "skip_signature" in found and not is_true(found["skip_signature"]):
        del found["skip_signature"]
    if scheme == "s3" and "use_ssl" in said and not is_true(said["use_ssl"]):
        found["allow_http"] = True
    if scheme == "gs" and (token := said.get("token")):
        found |= _google(token, section)
    if scheme == "az" and isinstance(joined := said.get("connection_string"), str):
        parts = dict(part.partition("=")[::2] for part in joined.split(";"))
        names = {"AccountName": "account_name", "AccountKey": "account_key", "BlobEndpoint": "endpoint"}
        found |= {own: parts[name] for name, own in names.items() if name in parts}
    return found


def _google(token: object, section: Section) -> dict[str, object]:
    if isinstance(token, Mapping):
        return {"service_account_key": json.dumps(dict(token))}
    if token == "anon":  # noqa: S105  a word of fsspec
        return {"skip_signature": True}
    if isinstance(token, str) and token not in {"google_default", "cloud", "cache", "browser"}:
        return {"service_account_path": os.path.expanduser(token)}
    if token in {"cache", "browser"}:
        raise InvalidInput(f"{section.at('token')} logs in by a browser: kist needs the path of a key file there")
    return {}


def _add(document: Document, protocol: str, said: Mapping[str, object], path: str) -> None:
    scheme = _PROTOCOLS.get(protocol.lower())
    if scheme is None:
        return
    before = document.sections.get(scheme)
    document.sections[scheme] = Section(
        name=scheme, said={**(before.said if before else {}), **said}, file=path, title=protocol if path else f"FSSPEC_{protocol.upper()}"
    )


def _json(text: str, path: str) -> dict[str, dict[str, object]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        raise InvalidInput(f"{path}{f', line {line}' if line else ''} is no JSON, and is ignored") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is no JSON object, and is ignored")
    return {str(name): said for name, said in found.items() if isinstance(said, dict)}


def _ini(text: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for _, section, key, value in ini_lines(text):
        if key and value:
            found.setdefault(section, {})[key] = value.replace("%%", "%")
    return found


def _spoken(variables: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return what variables say: ``FSSPEC_S3`` a whole object, ``FSSPEC_S3_KEY`` one option."""
    whole: dict[str, dict[str, object]] = {}
    single: dict[str, dict[str, object]] = {}
    for name, text in variables.items():
        _, _, rest = name.partition("FSSPEC_")
        protocol, _, key = rest.lower().partition("_")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if key:
            single.setdefault(protocol, {})[key] = value
        elif isinstance(value, dict):
            whole[protocol] = value
    return {protocol: {**whole.get(protocol, {}), **single.get(protocol, {})} for protocol in whole.keys() | single.keys()}
