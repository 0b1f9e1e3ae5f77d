"""The service of a user alone: made once, whoever comes first, and kept below one folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kist.engine.opening import open_repository
from kist.errors import Conflict, InvalidInput, KistError, StoreError
from kist.models.requests import DeleteRepo, ListBuckets, ListInOrg, ListOrgs, ListRepos, ModifyRepo, Nothing, OrgName
from kist.operations import DELETE_REPO, GET_ME, LIST_BUCKET_CONFIGS, LIST_MEMBERS, LIST_ORGS, LIST_REPOS, MODIFY_REPO, VERIFY_AUDIT
from kist.service.alone import open_alone
from kist.service.dispatch import Service
from kist.service.rooms import Caller

PROGRAM = """
import sys
from pathlib import Path
from kist.models.requests import ListRepos, Nothing
from kist.operations import DELETE_REPO, GET_ME, LIST_REPOS
from kist.service.alone import open_alone
sys.stdin.readline()
service, caller = open_alone(Path(sys.argv[1]))
me = service.call(GET_ME, Nothing(), caller)
repos = service.call(LIST_REPOS, ListRepos(org="local"), caller).items
print(caller.who.id, [org.name for org in me.orgs], [repo.id for repo in repos])
service.rooms.database.close()
"""


@contextmanager
def opened(home: Path) -> Iterator[tuple[Service, Caller]]:
    service, caller = open_alone(home)
    try:
        yield service, caller
    finally:
        service.rooms.database.close()


def start(home: Path) -> subprocess.Popen[str]:
    """Start a process that opens the service once it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what these tests write away from the user's folders."""
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "kist"))
    monkeypatch.setenv("KIST_AUTHOR", "Ann Berg")
    monkeypatch.delenv("KIST_REPOSITORY", raising=False)


def test_the_user_has_an_organisation_a_bucket_config_and_a_repository(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as (service, caller):
        me = service.call(GET_ME, Nothing(), caller)
        (bucket,) = service.call(LIST_BUCKET_CONFIGS, ListBuckets(org="local"), caller).items
        (repo,) = service.call(LIST_REPOS, ListRepos(org="local"), caller).items

    assert (me.name, me.admin, [(org.name, org.role, org.personal) for org in me.orgs]) == ("Ann-Berg", True, [("local", "admin", True)])
    assert (bucket.nickname, bucket.platform, bucket.name, bucket.is_default) == (
        "local",
        "local",
        str(tmp_path / "home/repositories"),
        True,
    )
    assert (repo.full_name, repo.prefix, repo.bucket_config) == ("local/default", "local/default", "local")


def test_the_repository_is_a_folder_that_opens_by_itself(tmp_path: Path) -> None:
    with opened(tmp_path):
        repository = open_repository(tmp_path / "repositories" / "local" / "default")

    assert repository.authority == "create"


def test_a_repository_that_is_there_already_keeps_its_versions(tmp_path: Path) -> None:
    place = tmp_path / "repositories" / "local" / "default"
    made = open_repository(place, create=True)
    (tmp_path / "a.txt").write_text("a")
    version = made.save("a.txt", tmp_path / "a.txt", message="first")

    with opened(tmp_path):
        assert open_repository(place).log()[0].id == version.id


def test_the_home_is_the_one_of_the_settings(tmp_path: Path) -> None:
    service, _ = open_alone()
    service.rooms.database.close()

    assert (tmp_path / "kist" / "data" / "catalog" / "kist.sqlite").exists()


def test_what_it_keeps_is_for_the_users_eyes_only(tmp_path: Path) -> None:
    with opened(tmp_path):
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "catalog").iterdir()}

    assert modes["keys"] == 0o600
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "catalog").stat().st_mode & 0o777 == 0o700


def test_a_second_time_it_is_the_same(tmp_path: Path) -> None:
    with opened(tmp_path) as (_, first):
        pass
    with opened(tmp_path) as (service, second):
        assert second == first
        assert len(service.call(LIST_ORGS, ListOrgs(), second).items) == 1


def test_another_author_is_the_same_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as (_, first):
        pass
    monkeypatch.setenv("KIST_AUTHOR", "somebody else")

    with opened(tmp_path) as (service, second):
        assert second.who == first.who
        assert [one.name for one in service.call(LIST_MEMBERS, ListInOrg(org="local"), second).items] == ["Ann-Berg"]


def test_how_it_was_made_is_in_the_audit_log(tmp_path: Path) -> None:
    with opened(tmp_path) as (service, caller):
        report = service.call(VERIFY_AUDIT, OrgName(org="local"), caller)

    assert (report.ok, report.lines) == (True, 4)


def test_of_processes_that_are_first_at_once_one_makes_it(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(3)]
    for process in processes:
        go(process)
    ends = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0] * 3, [error for _, error in ends]
    assert len({output for output, _ in ends}) == 1
    assert re.fullmatch(r"[0-9a-f]{32} \['local'\] \['[0-9a-f]{32}'\]\n", ends[0][0])


@pytest.mark.parametrize("milliseconds", [10, 100])
def test_after_one_is_killed_the_next_makes_it_whole(tmp_path: Path, milliseconds: int) -> None:
    process = start(tmp_path)
    go(process)
    end = time.monotonic() + 30
    while not (tmp_path / "catalog").exists():
        assert time.monotonic() < end
        time.sleep(0.001)
    time.sleep(milliseconds / 1000)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)

    with opened(tmp_path) as (service, caller):
        assert [repo.full_name for repo in service.call(LIST_REPOS, ListRepos(org="local"), caller).items] == ["local/default"]
        assert len(service.call(LIST_BUCKET_CONFIGS, ListBuckets(org="local"), caller).items) == 1


def test_a_home_that_can_not_be_made_says_how_to_choose_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreError, match="set KIST_HOME to a folder that can"):
        open_alone(tmp_path / "file" / "home")


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere: apt-get install util-linux")
def test_a_home_that_can_only_be_read_says_how_to_choose_another(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    argv = [*plain, sys.executable, "-c", PROGRAM, str(home)]
    found = subprocess.run(argv, input="\n", capture_output=True, text=True, timeout=60, check=False)

    assert "Permission denied" in found.stderr.splitlines()[-1]
    assert "set KIST_HOME to a folder that can" in found.stderr.splitlines()[-1]


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    (tmp_path / "catalog" / "keys").chmod(0o644)

    with pytest.raises(InvalidInput, match="can be read by others"):
        open_alone(tmp_path)


def test_a_database_that_is_damaged_is_told_and_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    place = tmp_path / "catalog" / "kist.sqlite"
    place.write_bytes(b"no database" * 1000)

    with pytest.raises(KistError, match=r"kist\.sqlite"):
        open_alone(tmp_path)
    assert place.read_bytes() == b"no database" * 1000


def test_the_repository_that_needs_no_catalog_stays_where_it_is(tmp_path: Path) -> None:
    with opened(tmp_path) as (service, caller):
        with pytest.raises(Conflict, match="KIST_REPOSITORY"):
            service.call(DELETE_REPO, DeleteRepo(org="local", repo="default", imsure=True, imreallysure=True), caller)
        with pytest.raises(Conflict, match="KIST_REPOSITORY"):
            service.call(MODIFY_REPO, ModifyRepo(org="LOCAL", repo="Default", new_name="other"), caller)
