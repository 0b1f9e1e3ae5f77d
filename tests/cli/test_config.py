"""``kist config``."""

import io
import stat
from pathlib import Path

import pytest
from tests.cli.running import Kist

SERVER = "https://kist.lab.org"


@pytest.fixture
def known(kist: Kist) -> Kist:
    """The command line, with a login to a server, which is not the current one."""
    path = kist.home / "config" / "client.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[servers."{SERVER}"]\ntoken = "kist_canary"\nuser = "grace"\n')
    path.chmod(0o600)
    return kist


def test_alone_nothing_is_set(kist: Kist) -> None:
    assert kist.ok("config", "list", "--json").json == {"server": "local", "org": "", "servers": []}
    assert "kist login SERVER" in kist.ok("config", "list").err
    assert kist("config", "get", "org").code == 3


def test_the_current_server_is_chosen_among_those_one_is_logged_in_to(known: Kist) -> None:
    assert known.ok("config", "set", "server", f"{SERVER}/").out == f"server is {SERVER} from now on\n"
    assert known.ok("config", "get", "server").out == f"{SERVER}\n"
    assert known.ok("config", "unset", "server").out == "server is not set any more\n"
    assert known.ok("config", "get", "server", "--json").json == {"name": "server", "value": "local", "from": "client.toml"}
    refused = known("config", "set", "server", "https://other.lab.org")
    assert (refused.code, "kist login https://other.lab.org" in refused.err) == (2, True)


def test_the_organisation_is_kept_for_each_server(known: Kist) -> None:
    known.ok("org", "create", "lab")
    assert known.ok("config", "set", "org", "LAB").out == "org is lab from now on\n"
    known.ok("config", "set", "server", SERVER)
    assert known("config", "get", "org").code == 3
    assert [one["org"] for one in known.ok("config", "list", "--json").json["servers"]] == [""]
    known.ok("config", "unset", "server")
    assert known.ok("config", "get", "org").out == "lab\n"
    known.ok("config", "unset", "org")
    assert known("config", "get", "org").code == 3


def test_an_organisation_that_is_not_there_is_not_kept(kist: Kist) -> None:
    assert kist("config", "set", "org", "nothing").code == 3
    assert kist("config", "get", "org").code == 3


def test_the_environment_goes_before(known: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_ORG", "elsewhere")
    assert "KIST_ORG=elsewhere is set, and goes before it" in known.ok("config", "set", "org", "local").err
    assert known.ok("config", "get", "org", "--json").json == {"name": "org", "value": "elsewhere", "from": "KIST_ORG"}


def test_no_token_is_shown_and_the_file_stays_for_ones_own_eyes(known: Kist) -> None:
    known.ok("config", "set", "server", SERVER)
    told = [known("config", "list"), known("config", "list", "--json"), known("config", "get", "server")]
    assert not any("canary" in result.out + result.err for result in told)
    assert "kist_canary" in (known.home / "config" / "client.toml").read_text()
    assert stat.S_IMODE((known.home / "config" / "client.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize("words", [("get", "token"), ("set", "server", "nonsense"), ("set", "org"), ("unset",)])
def test_what_makes_no_sense_is_refused(kist: Kist, words: tuple[str, ...]) -> None:
    assert kist("config", *words).code == 2


def test_a_keyring_is_made_once_for_ones_own_eyes(kist: Kist, tmp_path: Path) -> None:
    made = kist.ok("config", "new-key", "keys")
    text = (tmp_path / "keys").read_text()
    name, secret = next(line for line in text.splitlines() if not line.startswith("#")).split(":")
    assert (made.out, stat.S_IMODE((tmp_path / "keys").stat().st_mode)) == (f"made keys with the key {name}\n", 0o600)
    assert secret not in made.out + made.err
    assert kist("config", "new-key", "keys").code == 4
    assert (tmp_path / "keys").read_text() == text


def test_all_secrets_of_this_machine_are_sealed_by_a_new_key(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the-secret-1\n"))
    words = ("--credential", "access_key_id=AKIAEXAMPLE", "--credential", "secret_access_key=-")
    kist.ok("bucket", "create", "production", "s3://my-production-data", "--region", "us-east-1", *words)
    token = kist.ok("token", "create", "ci").out
    done = kist.ok("config", "rotate-key", "--json").json
    assert (done["in_use"], done["sealed_anew"]) == (True, 1)
    keys = [line.split(":")[0] for line in (kist.home / "data" / "catalog" / "keys").read_text().splitlines() if not line.startswith("#")]
    assert (keys[0], len(keys)) == (done["key"], 2)
    assert kist.ok("config", "rotate-key").out.endswith("seals from now on; 1 secret sealed anew\n")
    assert token not in kist.ok("token", "list").out


def test_there_is_nothing_to_rotate_before_there_are_keys(kist: Kist) -> None:
    assert kist("config", "rotate-key").code == 3
    assert kist("config", "rotate-key", "--use", "k1").code == 2


def test_the_key_of_a_server_is_rotated_in_two_steps(kist: Kist, tmp_path: Path) -> None:
    kist.ok("config", "new-key", "keys")
    kist.ok("org", "list")  # makes the catalog of this machine, which a server might serve
    database = kist.home / "data" / "catalog" / "kist.sqlite"
    (tmp_path / "server.toml").write_text(f'database = "sqlite:///{database}"\n[keys]\nfile = "{tmp_path / "keys"}"\n')
    added = kist.ok("config", "rotate-key", "--config", "server.toml", "--json").json
    assert added["in_use"] is False
    names = [line.split(":")[0] for line in (tmp_path / "keys").read_text().splitlines() if not line.startswith("#")]
    assert names[1] == added["key"]
    used = kist.ok("config", "rotate-key", "--config", "server.toml", "--use", added["key"])
    assert used.out == f"{added['key']} seals from now on; 0 secrets sealed anew\n"
    assert (tmp_path / "keys").read_text().splitlines()[1].split(":")[0] == added["key"]
    assert kist("config", "rotate-key", "--config", "server.toml", "--use", "nothing").code == 3
