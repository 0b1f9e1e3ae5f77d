"""The commands of an organisation against a server: the same as alone."""

import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.cli.running import Kist, write
from tests.cli.serving import Served, served

_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that all tests of this module ask."""
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def lab(kist: Kist, server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kist:
    """The command line of ada, whose current organisation is a new one with two folders for repositories."""
    monkeypatch.setenv("KIST_SERVER", server.url)
    monkeypatch.setenv("KIST_TOKEN", server.token)
    org = f"lab-{next(_numbers)}"
    kist.ok("org", "create", org)
    kist.ok("config", "set", "org", org)
    kist.ok("bucket", "create", "disk", str(tmp_path / "disk"))
    kist.ok("bucket", "create", "attic", str(tmp_path / "attic"))
    return kist


@pytest.fixture
def climate(lab: Kist, tmp_path: Path) -> Kist:
    """In it a repository, `climate`, with one version, which is the one that is meant."""
    url = lab.ok("repo", "create", "climate", "--json").json["url"]
    lab.ok("save", str(write(tmp_path / "data", a__txt="one\n")), "-r", url, "-m", "first")
    return lab


def url_of(kist: Kist) -> str:
    return str(kist.ok("repo", "show", "climate", "--json").json["url"])


def test_nothing_of_it_is_kept_on_this_machine(climate: Kist) -> None:
    assert not (climate.home / "data" / "catalog").exists()


def test_bucket_configs(lab: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("vEry-secret-1234\n"))
    words = ("--region", "us-east-1", "--credential", "access_key_id=AKIAEXAMPLE", "--credential", "secret_access_key=-")
    name = lab.ok("config", "get", "org").out.strip()
    made = lab.ok("bucket", "create", "production", f"s3://data-of-{name}", *words)
    assert made.out == f"made the bucket config production: s3://data-of-{name}\n"
    assert [one["nickname"] for one in lab.ok("bucket", "list", "--json").json] == ["attic", "disk", "production"]
    assert "is_default" in lab.ok("bucket", "set-default", "production", "--json").json
    assert lab.ok("bucket", "update", "production", "--name", "cloud", "--json").json["auth_method"] == "keys"
    assert lab.ok("bucket", "check", "disk", "--json").json["ok"] is True
    assert lab("bucket", "create", "again", f"s3://data-of-{name}/", "--region", "us-east-1").code == 5
    lab.ok("bucket", "delete", "cloud", "--confirm", "cloud")
    assert "vEry-secret" not in lab.ok("audit", "list", "--json").out


def test_versions_of_a_repository(climate: Kist, tmp_path: Path) -> None:
    url = url_of(climate)
    write(tmp_path / "data", a__txt="two\n", b__bin=b"x" * 300_000)
    climate.ok("save", str(tmp_path / "data"), "-r", url, "-m", "second")
    assert [one["message"] for one in climate.ok("log", "-r", url, "--json").json] == ["second", "first"]
    assert climate.ok("cat", f"{url}@v1/data/a.txt").out == "one\n"
    climate.ok("restore", "data@v2", str(tmp_path / "back"), "-r", url)
    assert (tmp_path / "back" / "b.bin").read_bytes() == b"x" * 300_000
    climate.ok("cp", f"{url}/data/a.txt", str(tmp_path / "copied.txt"))
    climate.ok("cp", str(tmp_path / "copied.txt"), f"{url}/copied.txt")
    assert climate.ok("ls", url).lines == ["copied.txt", "data/"]
    climate.ok("tag", "release", "v1", "-r", url)
    assert climate.ok("verify", "--data", "-r", url, "--json").json["ok"] is True
    assert climate.ok("forget", "v1", "--imsure", "-r", url, "--json").json[0]["number"] == 1
    assert climate.ok("gc", "-r", url, "--json").json["deleted"] == 0
    assert climate.ok("status", "-r", url, "--json").json["stored_bytes"] > 0


def test_a_repository_is_deleted_restored_and_moved(climate: Kist) -> None:
    url = url_of(climate)
    climate.ok("repo", "delete", "climate", "--confirm", "climate")
    assert climate("log", "-r", url).code == 3
    climate.ok("repo", "restore", "climate")
    assert climate.ok("repo", "move", "climate", "attic").out.endswith("/climate to attic\n")
    assert climate.ok("cat", f"{url}/data/a.txt").out == "one\n"
    job = climate.ok("repo", "move", "climate", "disk", "--no-wait", "--json").json
    assert climate.ok("job", "show", job["id"], "--json").json["operation"] == "move_repo"
    assert climate("job", "run").code == 9


def test_who_may_what(climate: Kist, server: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = url_of(climate)
    token = climate.ok("token", "create", "reading", "--repo", url, "--role", "reader").out.strip()
    monkeypatch.setenv("KIST_TOKEN", token)
    assert climate.ok("cat", f"{url}/data/a.txt").out == "one\n"
    assert climate("save", str(tmp_path / "data"), "-r", url, "--always").code == 6
    assert climate("repo", "delete", url, "--confirm", "climate").code == 6
    assert climate("org", "create", "mine").code == 6
    monkeypatch.setenv("KIST_TOKEN", server.token)
    org = url.split("/")[2]
    climate.ok("account", "create", "robot")
    robot = climate.ok("token", "create", "nightly", "--account", f"{org}/robot").out.strip()
    monkeypatch.setenv("KIST_TOKEN", robot)
    assert climate("ls", url).code == 3
    monkeypatch.setenv("KIST_TOKEN", server.token)
    climate.ok("repo", "grant", "climate", f"{org}/robot", "writer")
    monkeypatch.setenv("KIST_TOKEN", robot)
    assert climate.ok("whoami", "--json").json["kind"] == "service-account"
    assert "saved data as v2" in climate.ok("save", str(tmp_path / "data"), "-r", url, "--always").out


def test_a_token_that_has_ended_is_told_by_its_exit_code(climate: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = climate.ok("token", "create", "short", "--json").json
    climate.ok("token", "revoke", issued["key"]["id"])
    monkeypatch.setenv("KIST_TOKEN", issued["secret"])
    assert [climate(*words).code for words in (("repo", "list"), ("log", "-r", "kist://lab-1/climate"))] == [7, 7]


def test_users_and_links(lab: Kist, server: Served) -> None:
    lab.ok("user", "create", "linus")
    link = lab.ok("user", "link", "linus").out
    assert link.startswith(f"{server.url}/login?token=")
    lab.ok("user", "update", "linus", "--disable")
    assert lab.ok("audit", "verify", "--json").json["ok"] is True


def test_names_are_completed(climate: Kist) -> None:
    assert "climate" in climate("__complete", "repo", "show", "cl").lines
    assert "data/" in climate("__complete", "ls", "-r", url_of(climate), "d").lines
