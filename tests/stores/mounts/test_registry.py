"""Mounts by call: names, places, credentials, and that secrets stay secret."""

import copy
import json
import logging
import os
import pickle
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.s3 import S3Server
from tests.stores.mounts.configured import nothing_configured, write

from kist.errors import AlreadyExists, InvalidInput, NotFound, StoreError
from kist.stores.locations import locate
from kist.stores.mounts import find, mount, mounts, unmount
from kist.stores.protocols import Put

SECRET = "vEry-secret-1234"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with nothing_configured(tmp_path, monkeypatch) as folder:
        yield folder


def put(url: str, data: bytes) -> None:
    place = locate(url)
    assert isinstance(place.store, Put)
    place.store.put(place.key, data)


def get(url: str) -> bytes:
    place = locate(url)
    return place.store.get(place.key)


def own(machine: Path) -> Path:
    return machine / "home" / ".config" / "kist" / "mounts.toml"


def test_any_name_can_be_mounted_with_a_provider() -> None:
    made = mount(
        storage_type="my_storage",
        client_id="my_client_id",
        secret_id="my_secret_id",
        provider="s3",
        endpoint_url="https://s3.example.org",
        bucket="data",
    )
    assert (made.url, made.provider, made.origin) == ("s3://data", "s3", "call")
    assert dict(made.options) == {
        "access_key_id": "my_client_id",
        "secret_access_key": "my_secret_id",
        "endpoint": "https://s3.example.org",
    }
    assert find("my_storage") == made


def test_names_are_found_in_any_case() -> None:
    made = mount("My_Storage", url="s3://bucket")
    assert find("MY_STORAGE") == made
    assert list(mounts()) == ["my_storage"]


def test_two_accounts_of_one_provider_are_mounted_at_once() -> None:
    for name in ("ours", "theirs"):
        mount(name, provider="s3", bucket="data", client_id=f"id of {name}", secret_id=SECRET)
    assert {name: one.options["access_key_id"] for name, one in mounts().items()} == {"ours": "id of ours", "theirs": "id of theirs"}


def test_a_scheme_as_name_gives_default_options_to_its_urls() -> None:
    made = mount(storage_type="s3", client_id="A", secret_id=SECRET)
    assert (made.url, made.at("bucket/key")) == ("", "s3://bucket/key")
    assert find("s3") == find("s3a") == made


@pytest.mark.parametrize(
    ("name", "scheme"), [("aws", "s3"), ("openstack", "swift"), ("gcs", "gs"), ("azure", "az"), ("abfss", "az"), ("ovh", "ovh")]
)
def test_older_names_of_providers_give_default_options_too(name: str, scheme: str) -> None:
    assert mount(storage_type=name, region="x").url == ""
    found = find(scheme)
    assert found is not None
    assert found.options["region"] == "x"


def test_what_only_fsspec_has_a_filesystem_for_is_a_provider_too() -> None:
    assert mount("sets", url="hf://datasets/lab").url == "hf://datasets/lab"
    assert mount("code", provider="github", bucket="org:repo@main", prefix="src").url == "github://org:repo@main/src"
    default = mount("hf", token=SECRET)
    assert (default.url, default.at("datasets/x"), find("hf")) == ("", "hf://datasets/x", default)


@pytest.mark.parametrize("name", ["data", "dir", "local", "lab", "git"])
def test_names_that_mean_something_to_fsspec_alone_are_free(name: str) -> None:
    assert mount(name, provider="s3", bucket="b").at("x") == "s3://b/x"
    assert mount(name, provider="s3", replace=True).at("b/x") == "s3://b/x"


def test_an_account_of_a_provider_may_be_named_behind_a_dot() -> None:
    made = mount("aws.second", client_id="B", secret_id=SECRET)
    assert (made.name, made.at("bucket/key")) == ("aws.second", "s3://bucket/key")


def test_without_a_bucket_the_first_part_of_a_path_is_the_bucket() -> None:
    assert mount("lab", provider="s3").at("bucket/key") == "s3://bucket/key"


@pytest.mark.parametrize(
    ("said", "url", "options"),
    [
        ({"url": "S3://bucket/some/prefix/"}, "s3://bucket/some/prefix", {}),
        ({"provider": "s3", "bucket": "b", "prefix": "/p/q/"}, "s3://b/p/q", {}),
        ({"provider": "S3", "bucket": "b", "prefix": "50%?#"}, "s3://b/50%25%3F%23", {}),
        ({"provider": "aws", "bucket": "b", "region": "eu-west-1"}, "s3://b", {"region": "eu-west-1"}),
        ({"provider": "s3", "bucket": "b", "access_key_id": "A"}, "s3://b", {"access_key_id": "A"}),
        ({"provider": "s3", "bucket": "b", "aws_access_key_id": "A", "profile": "lab"}, "s3://b", {"access_key_id": "A", "profile": "lab"}),
        (
            {"provider": "minio", "bucket": "b", "endpoint_url": "http://h:9000"},
            "s3://b",
            {"endpoint": "http://h:9000", "region": "us-east-1"},
        ),
        (
            {"provider": "ceph", "bucket": "b", "endpoint_url": "h:80", "unsecure": True},
            "s3://b",
            {"endpoint": "http://h:80", "region": "us-east-1", "allow_http": True},
        ),
        ({"provider": "garage", "bucket": "b", "endpoint_url": "https://h"}, "s3://b", {"endpoint": "https://h", "region": "garage"}),
        (
            {"provider": "r2", "bucket": "b", "account_id": "12"},
            "s3://b",
            {"endpoint": "https://12.r2.cloudflarestorage.com", "region": "auto"},
        ),
        (
            {"provider": "alibaba", "bucket": "b", "region": "cn-beijing"},
            "s3://b",
            {"endpoint": "https://b.oss-cn-beijing.aliyuncs.com", "region": "cn-beijing", "virtual_hosted_style_request": True},
        ),
        ({"provider": "google", "bucket": "b", "secret_id": "/key.json"}, "gs://b", {"service_account_path": "/key.json"}),
        ({"provider": "gs", "bucket": "b", "secret_id": '{"type": 1}'}, "gs://b", {"service_account_key": '{"type": 1}'}),
        (
            {"provider": "azure", "bucket": "c", "client_id": "acc", "secret_id": "k"},
            "az://c",
            {"account_name": "acc", "account_key": "k"},
        ),
        (
            {"provider": "az", "bucket": "c", "tenant_id": "t", "client_id": "i", "secret_id": "k"},
            "az://c",
            {"tenant_id": "t", "client_id": "i", "client_secret": "k"},
        ),
        (
            {"provider": "openstack", "bucket": "c", "client_id": "u", "secret_id": "p", "auth_url": "https://id/v3", "project_id": "1"},
            "swift://c",
            {"username": "u", "password": "p", "auth_url": "https://id/v3", "project_id": "1"},
        ),
        (
            {"provider": "ovh", "bucket": "c", "region": "GRA", "client_id": "u", "secret_id": "p"},
            "ovh://c",
            {"region": "GRA", "username": "u", "password": "p"},
        ),
        (
            {"provider": "ovh", "bucket": "c", "endpoint_url": "https://s3.gra.io.cloud.ovh.net", "client_id": "A"},
            "s3://c",
            {"endpoint": "https://s3.gra.io.cloud.ovh.net", "access_key_id": "A"},
        ),
        (
            {"provider": "sftp", "host": "h", "port": 2222, "prefix": "data", "client_id": "u", "secret_id": "p"},
            "sftp://h:2222/data",
            {"username": "u", "password": "p"},
        ),
        ({"provider": "ssh", "endpoint_url": "sftp://h:22/base", "prefix": "data"}, "sftp://h:22/base/data", {}),
        ({"provider": "ftp", "host": "h", "client_id": "u", "secret_id": "p"}, "ftp://h", {"username": "u", "password": "p"}),
        ({"provider": "webdav", "endpoint_url": "https://h/dav", "prefix": "p"}, "webdavs://h/dav/p", {}),
        ({"provider": "webdav", "url": "http://h/dav"}, "webdav://h/dav", {}),
        ({"provider": "webdav", "host": "h", "unsecure": "True"}, "webdav://h", {}),
        ({"provider": "http", "endpoint_url": "https://h/data", "token": "t"}, "https://h/data", {"token": "t"}),
        ({"provider": "memory"}, "memory://lab", {}),
        ({"provider": "local", "bucket": "/data/lab", "prefix": "x"}, "file:///data/lab/x", {}),
        ({"url": "/data/la b/50%"}, "file:///data/la b/50%25", {}),
        ({"url": "file://localhost/"}, "file:///", {}),
        ({"provider": "kist", "bucket": "org/repo", "prefix": "data"}, "kist://org/repo/data", {}),
        ({"url": "kist://org/repo@v3/data"}, "kist://org/repo@v3/data", {}),
        (
            {
                "provider": "s3",
                "bucket": "b",
                "storage_parameters": {"session": {"aws_access_key_id": "A"}, "client": {"region_name": "eu"}},
            },
            "s3://b",
            {"access_key_id": "A", "region": "eu"},
        ),
    ],
    ids=lambda value: " ".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else None,
)
def test_what_is_said_becomes_a_url_and_the_options_of_its_store(said: dict[str, object], url: str, options: dict[str, object]) -> None:
    made = mount("lab", **said)  # type: ignore[arg-type]  # the keys vary
    assert (made.url, dict(made.options)) == (url, options)


def test_a_home_folder_is_written_out(machine: Path) -> None:
    assert mount("lab", url="~/data").at("x") == f"file://{machine}/home/data/x"


def test_a_mount_may_stand_for_a_place_in_another() -> None:
    mount("lab", url="s3://bucket", client_id="A")
    assert mount("mine", url="lab://people/mara").url == "lab://people/mara"
    assert mount("yours", provider="lab", bucket="people", prefix="ada").url == "lab://people/ada"


@pytest.mark.parametrize(
    "name", ["", "file", "KIST", "host", "memory", "http", "https", "host+lab", "1st", "my storage", "a/b", "a:b", "ä", "x" * 200, "-x"]
)
def test_a_name_that_no_url_can_begin_with_or_that_means_something_else_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        mount(name, url="s3://bucket")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "names no place.*s3"),
        ({"client_id": "A", "secret_id": SECRET}, "names no place.*schemes.*s3"),
        ({"provider": "s4"}, "provider 's4'.*minio.*s3"),
        ({"url": "s4://bucket"}, "'s4' URLs.*s3"),
        ({"url": "lab://x"}, "leads to itself"),
        ({"url": "relative/folder"}, "folder from the root"),
        ({"url": "s3://bucket", "provider": "az"}, "of 'az'.*s3://"),
        ({"url": "s3://bucket", "bucket": "other"}, "belong into it"),
        ({"url": "https://h/x?sig=vEry-secret-1234"}, "options as options"),
        ({"url": "sftp://ada:vEry-secret-1234@h/x"}, "credentials"),
        ({"provider": "s3", "bucket": "b", "endpoint_url": "https://ada:vEry-secret-1234@h"}, "credentials"),
        ({"provider": "s3", "bucket": "b", "endpoint_url": "http://[::1"}, "address"),
        ({"provider": "sftp", "host": "h:x"}, "address"),
        ({"provider": "s3", "bucket": "a/b"}, "prefix"),
        ({"provider": "minio", "bucket": "b"}, "endpoint_url"),
        ({"provider": "r2", "bucket": "b"}, "account_id"),
        ({"provider": "oss"}, "bucket, region"),
        ({"provider": "sftp"}, "host"),
        ({"provider": "kist"}, "org/repo"),
        ({"provider": "gs", "bucket": "b", "client_id": "x"}, "client_id"),
        ({"provider": "s3", "bucket": "b", "client_id": "A", "access_key_id": "B"}, "by another name"),
        ({"provider": "s3", "bucket": "b", "timeout_seconds": "soon"}, "'timeout_seconds' is a number"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_mounted(said: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        mount("lab", **said)  # type: ignore[arg-type]  # the keys vary
    assert SECRET not in str(caught.value)
    assert find("lab") is None


def test_a_scheme_takes_no_place() -> None:
    with pytest.raises(InvalidInput, match="choose another name"):
        mount("s3", bucket="data")
    with pytest.raises(InvalidInput, match="choose another name"):
        mount("s3", provider="az")


def test_the_same_mount_again_is_fine() -> None:
    assert mount("lab", url="s3://b", client_id="A") == mount("lab", provider="s3", bucket="b", access_key_id="A")


def test_other_parameters_need_replace() -> None:
    mount("lab", url="s3://one")
    with pytest.raises(AlreadyExists, match="replace=True"):
        mount("lab", url="s3://two")
    assert find("lab") == mount("lab", url="s3://one")
    mount("lab", url="s3://two", replace=True)
    assert mounts()["lab"].url == "s3://two"


def test_an_unmounted_name_is_free_again() -> None:
    mount("lab", url="s3://one")
    unmount("LAB")
    assert find("lab") is None
    with pytest.raises(NotFound, match="no mount 'lab'"):
        unmount("lab")


def test_urls_of_an_unmounted_name_lead_nowhere() -> None:
    mount("lab", provider="memory")
    unmount("lab")
    with pytest.raises(InvalidInput, match="'lab'"):
        locate("lab://a")


def test_default_options_are_unmounted_by_any_of_their_names() -> None:
    mount("aws", region="x")
    unmount("aws")
    assert find("s3") is None


def test_of_many_threads_that_mount_one_name_differently_one_wins() -> None:
    outcomes: list[str] = []

    def work(number: int) -> None:
        try:
            outcomes.append(mount("raced", url=f"s3://b{number}").url)
        except AlreadyExists:
            outcomes.append("")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one in outcomes if one] == [mounts()["raced"].url]


@pytest.mark.parametrize(
    "secret",
    [
        {"secret_id": SECRET},
        {"session_token": SECRET},
        {"sse_customer_key_base64": SECRET},
        {"headers": {"Authorization": SECRET}},
        {"storage_parameters": {"session": {"aws_session_token": SECRET}}},
        {"some_future_option": SECRET},
    ],
    ids=lambda one: next(iter(one)),
)
def test_secrets_are_never_shown(secret: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    made = mount("lab", url="s3://bucket", client_id="my_id", **secret)  # type: ignore[arg-type]  # the keys vary
    logging.getLogger("test").warning("%s %r %s", made, made.options, mounts())
    for text in (repr(made), str(made), repr(made.options), f"{made.options}", str(mounts()), caplog.text):
        assert SECRET not in text
        assert "my_id" in text
    with pytest.raises(AlreadyExists) as caught:
        mount("lab", url="s3://bucket")
    assert SECRET not in str(caught.value)
    assert SECRET in str(dict(made.options))


def test_options_can_not_be_changed() -> None:
    made = mount("lab", url="s3://bucket", secret_id=SECRET)
    with pytest.raises(TypeError):
        made.options["x"] = 1  # type: ignore[index]  # what is shown
    assert copy.deepcopy(made) == made


def test_a_mount_goes_to_another_process_unless_it_has_secrets() -> None:
    made = mount("lab", url="s3://bucket", client_id="A")
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(InvalidInput, match="secrets"):
        pickle.dumps(mount("other", url="s3://bucket", client_id="A", secret_id=SECRET))


def test_a_mount_is_saved_for_later_and_for_nobody_else(machine: Path) -> None:
    old = os.umask(0)
    try:
        made = mount("lab", url="s3://bucket/x", client_id="A", secret_id=SECRET, timeout_seconds=5, save=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE(own(machine).stat().st_mode) == 0o600
    assert stat.S_IMODE(own(machine).parent.stat().st_mode) == 0o700
    unmount("lab")
    found = find("lab")
    assert found is not None
    assert (found.url, found.provider, found.options, found.origin) == (made.url, made.provider, made.options, str(own(machine)))


def test_kist_home_moves_what_is_saved(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_HOME", str(machine / "all"))
    mount("lab", url="s3://bucket", save=True)
    assert (machine / "all" / "config" / "mounts.toml").exists()


def test_saving_leaves_alone_what_else_the_file_says(machine: Path) -> None:
    before = '# mine\n[storage.other]\nurl = "s3://other" # why\n\n'
    text = before + '[storage.lab]\nurl = "s3://old"\n[storage.lab.options]\nregion = "x"\n\n[security]\nn = 1\n'
    write(own(machine), text)
    mount("lab", url="s3://new", save=True, replace=True)
    after = own(machine).read_text()
    assert after.startswith(before)
    assert tomllib.loads(after) == {
        "storage": {"other": {"url": "s3://other"}, "lab": {"url": "s3://new", "provider": "s3"}},
        "security": {"n": 1},
    }


def test_saving_over_another_saved_mount_needs_replace(machine: Path) -> None:
    write(own(machine), '[storage.lab]\nurl = "s3://old"\n')
    with pytest.raises(AlreadyExists, match=r"mounts\.toml"):
        mount("lab", url="s3://new", save=True)
    found = find("lab")
    assert found is not None
    assert found.url == "s3://old"


@pytest.mark.filterwarnings("ignore::kist.errors.ConfigWarning")
@pytest.mark.parametrize("text", ["[storage.lab\n", "storage = 3\n", 'storage = { lab = { url = "s3://x" } }\n', "\xff[x]"])
def test_a_file_that_can_not_be_changed_safely_stays_as_it_is(machine: Path, text: str) -> None:
    path = own(machine)
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises((InvalidInput, StoreError)):
        mount("lab", url="s3://new", replace=True, save=True)
    assert path.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize("value", ['quo"te', "back\\slash", "new\nline", "tab\t\x00\x7f", "ünï ☃", "[x]", "# no", "", " s "])
def test_every_text_survives_saving(value: str) -> None:
    made = mount("lab", url="s3://bucket", secret_id=value, save=True)
    unmount("lab")
    found = find("lab")
    assert found is not None
    assert found.options == made.options


def test_an_option_that_no_file_can_say_is_not_saved() -> None:
    with pytest.raises(InvalidInput, match="'callback' can't be saved"):
        mount("lab", url="s3://bucket", callback=print, save=True)
    assert find("lab") is None


def test_a_saved_mount_goes_only_if_that_is_asked_for(machine: Path) -> None:
    mount("lab", url="s3://bucket", save=True)
    mount("other", url="s3://bucket", save=True)
    unmount("lab")
    assert find("lab") is not None
    unmount("lab", saved=True)
    assert find("lab") is None
    assert list(tomllib.loads(own(machine).read_text())["storage"]) == ["other"]
    with pytest.raises(NotFound):
        unmount("lab", saved=True)


def test_a_configured_mount_is_forgotten_in_this_process_alone(machine: Path) -> None:
    write(own(machine), '[storage.shelved]\nurl = "s3://bucket"\n')
    unmount("shelved")
    assert find("shelved") is None
    assert "shelved" not in mounts()
    assert "shelved" in own(machine).read_text()
    mount("shelved")
    assert mounts()["shelved"].url == "s3://bucket"


def test_processes_that_save_at_once_lose_nothing(machine: Path) -> None:
    code = "import sys; from kist.stores.mounts import mount; [mount(f'{sys.argv[1]}{n}', url='s3://b', save=True) for n in range(5)]"
    environment = {"HOME": str(machine / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [subprocess.Popen([sys.executable, "-c", code, name], env=environment) for name in ("a", "b", "c")]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    assert len(tomllib.loads(own(machine).read_text())["storage"]) == 15


def test_importing_reads_nothing_and_loads_no_client(machine: Path) -> None:
    write(own(machine), "broken [")
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", "[x]\ntype = s3\n")
    code = """
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append([event, str(args[0])]) if event in ("open", "socket.connect") else None)
import kist, kist.storage, kist.stores.mounts
clients = [one for one in sys.modules if one.split(".")[0] in ("obstore", "boto3", "fsspec", "paramiko", "cryptography", "httpx")]
print(json.dumps([clients, [one for one in opened if "home" in one[1] or one[0] != "open"]]))
"""
    environment = {"HOME": str(machine / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]


@pytest.mark.peer("MiniStack")
def test_a_mounted_bucket_is_read_and_written_by_its_name(ministack: S3Server) -> None:
    bucket = ministack.make_bucket()
    keys = {"client_id": ministack.access_key, "secret_id": ministack.secret_key}
    mount(storage_type="my_storage", provider="s3", endpoint_url=ministack.endpoint, bucket=bucket, **keys)  # type: ignore[arg-type]  # texts all
    mount("deep", url="my_storage://some/folder")
    put("deep://50%25.txt", b"text")
    assert ministack.store(bucket).get("some/folder/50%.txt") == get("my_storage://some/folder/50%25.txt") == b"text"


@pytest.mark.peer("MiniStack")
def test_a_scheme_with_default_options_is_read_and_written(ministack: S3Server) -> None:
    bucket = ministack.make_bucket()
    mount("aws", client_id=ministack.access_key, secret_id=ministack.secret_key, endpoint_url=ministack.endpoint)
    put(f"s3://{bucket}/a", b"text")
    assert ministack.store(bucket).get("a") == b"text"


@pytest.mark.peer("MiniStack")
@pytest.mark.peer("rclone")
def test_two_servers_of_one_provider_at_once(ministack: S3Server, rclone_s3: S3Server) -> None:
    for name, server in {"one": ministack, "two": rclone_s3}.items():
        where = {"endpoint_url": server.endpoint, "bucket": server.make_bucket()}
        mount(name, provider="minio", client_id=server.access_key, secret_id=server.secret_key, **where)  # type: ignore[arg-type]  # texts all
        put(f"{name}://a", name.encode())
    assert (get("one://a"), get("two://a")) == (b"one", b"two")


def test_folders_and_memory_are_mounted_too(machine: Path) -> None:
    (machine / "home" / "100%").mkdir()
    mount("here", url="~/100%")
    mount("scratch", provider="memory")
    put("here://a", b"on disk")
    put("scratch://a", get("here://a"))
    assert (machine / "home" / "100%" / "a").read_bytes() == get("scratch://a") == b"on disk"
