"""What an admin can set, and how mistakes are told."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from kist.errors import InvalidInput, NotFound
from kist.server.settings import Keys, Limits, Listen, Log, Metrics, Oidc, ServerSettings, load_settings

WHOLE = """
database = "postgresql://kist@db/kist"
public_url = "https://kist.example.org/"
trusted_proxies = ["10.0.0.0/8"]
local_roots = ["/srv"]
workers = 2

[keys]
file = "/etc/kist/keys"

[limits]
json_bytes = 1000
principal_rate = 2

[oidc]
issuer = "https://id.example.org"
client_id = "kist"
client_secret = "s3cret"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.toml"
    path.write_text(WHOLE)
    return path


def load(file: Path | None, **environment: str) -> ServerSettings:
    return load_settings(file, environment)


def test_a_file_says_all(file: Path) -> None:
    settings = load(file)
    assert settings.database == "postgresql://kist@db/kist"
    assert settings.limits.json_bytes == 1000
    assert settings.limits.principal_rate == 2.0
    assert settings.rules.local_roots == ("/srv",)
    assert settings.oidc is not None
    assert settings.oidc.client_secret == "s3cret"
    assert settings.url == "https://kist.example.org"
    assert "kist.example.org" in settings.hosts


def test_the_environment_comes_before_the_file(file: Path) -> None:
    settings = load(
        file, KIST_SERVER_LIMITS_JSON_BYTES="7", KIST_SERVER_AMBIENT="true", KIST_SERVER_ENDPOINTS="a:1, b", KIST_SERVER_LISTEN_PORT="80"
    )
    assert settings.limits.json_bytes == 7
    assert settings.ambient is True
    assert settings.endpoints == ["a:1", "b"]
    assert settings.listen.port == 80


def test_the_environment_alone_is_enough() -> None:
    settings = load(None, KIST_SERVER_DATABASE="/data/kist.sqlite", KIST_SERVER_KEYS_ENV="KIST_KEYS", OTHER="x")
    assert settings.database == "/data/kist.sqlite"
    assert settings.keys.source == "env:KIST_KEYS"


def test_secrets_can_be_in_files(file: Path, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://kist:pass@db/kist\n")
    (tmp_path / "secret").write_text("other\n")
    settings = load(file, KIST_SERVER_DATABASE_FILE=str(tmp_path / "url"), KIST_SERVER_OIDC_CLIENT_SECRET_FILE=str(tmp_path / "secret"))
    assert settings.database == "postgresql://kist:pass@db/kist"
    assert settings.oidc is not None
    assert settings.oidc.client_secret == "other"


def test_no_secret_is_shown(file: Path) -> None:
    settings = load(file, KIST_SERVER_DATABASE="postgresql://kist:pass@db/kist", KIST_SERVER_METRICS_TOKEN="t0ken")
    assert not [secret for secret in ("pass@", "s3cret", "t0ken") if secret in repr(settings)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("colour = 1", r"there is no key `colour`"),
        ("[limits]\njson_byte = 1", r"\[limits\] there is no key `json_byte`"),
        ("[limits]\njson_bytes = '1'", r"\[limits\] json_bytes: expected `int`, got `str`"),
        ("[limits]\njson_bytes = 0", r"\[limits\] json_bytes: expected `int` >= 1"),
        ("[limits]\nbuffered_bytes = 5", r"buffered_bytes must be more"),
        ("workers = 0", r"workers: expected `int` >= 1"),
        ("trusted_proxies = ['proxy']", r"trusted_proxies must be addresses"),
        ("public_url = 'kist.example.org'", r"public_url must be http"),
        ("public_url = 'https://kist.example.org/kist'", r"public_url must be http"),
        ("[listen]\ntls_key = 'a'", r"go together"),
        ("[oidc]\nissuer = 'a'", r"\[oidc\] there must be a key `client_id`"),
        ("[log]\nformat = 'xml'", r"\[log\] format: invalid enum value 'xml'"),
        ("database_file = '/nowhere'", r"say both database and database_file"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(line if line.startswith("[keys") else f"database = 'd'\n{line}\n[keys]\nenv = 'K'\n")
    with pytest.raises(InvalidInput, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("KIST_SERVER_COLOUR", "red", "KIST_SERVER_COLOUR sets nothing"),
        ("KIST_SERVER_LIMITS", "1", "KIST_SERVER_LIMITS sets nothing"),
        ("KIST_SERVER_WORKERS", "two", "KIST_SERVER_WORKERS must be a number"),
        ("KIST_SERVER_AMBIENT", "maybe", "KIST_SERVER_AMBIENT must be true or false"),
        ("KIST_SERVER_DATABASE_FILE", "/nowhere/at/all", "can't be read"),
    ],
)
def test_a_variable_that_makes_no_sense_is_told(file: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        load(file, **{name: text})


@pytest.mark.parametrize("keys", ["", "file = 'a'\nenv = 'b'"])
def test_the_keyring_comes_from_one_place(tmp_path: Path, keys: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(f"database = 'd'\n[keys]\n{keys}\n")
    with pytest.raises(InvalidInput, match=r"\[keys\] needs one of"):
        load(path)


def test_the_reference_has_every_key_with_what_it_is_unless_set() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "server-settings.md").read_text()
    told: dict[str, list[str]] = {}
    for names, unless in re.findall(r"^\| (`[^|]*`) \|.*\| ([^|]*) \|$", page, re.MULTILINE):
        found = names.replace("`", "").split(", ")
        told |= {name: [one] for name, one in zip(found, unless.replace("`", "").split(", "), strict=len(found) > 1)}
    wanted = {}
    for section in (ServerSettings, Keys, Listen, Limits, Log, Metrics, Oidc):
        for one in msgspec.structs.fields(section):
            default = one.default if one.default is not msgspec.NODEFAULT else [] if one.default_factory is list else "needed"
            if not isinstance(default, (Keys, Listen, Limits, Log, Metrics)) and one.name not in {"keys", "oidc"}:
                wanted[one.name] = [default if default == "needed" else json.dumps(default)]
    wanted["public_url"] = told["public_url"]
    assert told == wanted


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml")


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text("database =")
    with pytest.raises(InvalidInput, match="is no TOML"):
        load(path)
