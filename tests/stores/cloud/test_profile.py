"""Where the keys of an S3 store come from: options, the environment, the profiles of AWS's tools."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.s3 import S3Server
from tests.servers.scripted import Answer, scripted_store

from kist.errors import InvalidInput
from kist.stores.cloud import S3Store, open_cloud
from kist.testing.store_suite import keys


def open_s3(where: str = "s3://bucket/p", **options: object) -> S3Store:
    store = open_cloud(where, **options)  # type: ignore[arg-type]  # none is called create
    assert isinstance(store, S3Store)
    return store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing of AWS yet."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path


def configure(home: Path, credentials: str = "", config: str = "") -> None:
    (home / ".aws/credentials").write_text(credentials)
    (home / ".aws/config").write_text(config)


def profile_of(server: S3Server, name: str = "default") -> tuple[str, str]:
    section = name if name == "default" else f"profile {name}"
    keys = f"[{name}]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    return keys, f"[{section}]\nregion = {server.region}\nendpoint_url = {server.endpoint}\n"


@pytest.mark.peer("Garage")
def test_the_default_profile_suffices(garage: S3Server, home: Path) -> None:
    configure(home, *profile_of(garage))
    store = open_s3(f"s3://{garage.make_bucket()}/p")
    store.put("a", b"1")
    upload = store.begin_parts("b", size_bytes=1)
    upload.finish([upload.put_part(0, b"2")])
    assert (store.get("a"), store.get("b")) == (b"1", b"2")


@pytest.mark.peer("Garage")
@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_profile_that_is_asked_for(garage: S3Server, home: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    configure(home, *profile_of(garage, "lab"))
    bucket = garage.make_bucket()
    if how == "variable":
        monkeypatch.setenv("AWS_PROFILE", "lab")
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another")
    store = open_s3(f"s3://{bucket}/p", **({"profile": "lab"} if how == "option" else {}))
    store.put("a", b"1")
    assert keys(store) == ["a"]


@pytest.mark.peer("Garage")
def test_a_profile_may_run_a_program_and_name_its_services(garage: S3Server, home: Path) -> None:
    said = {"Version": 1, "AccessKeyId": garage.access_key, "SecretAccessKey": garage.secret_key}
    (home / "keys.json").write_text(json.dumps(said))
    profile = f"[default]\ncredential_process = cat {home}/keys.json\nregion = {garage.region}\nservices = ours\nendpoint_url = http://127.0.0.1:1\n"
    configure(home, config=f"{profile}[services ours]\ns3 =\n  endpoint_url = {garage.endpoint}\n")
    store = open_s3(f"s3://{garage.make_bucket()}/p")
    store.put("a", b"1")
    assert store.get("a") == b"1"


@pytest.mark.parametrize("given", ["options", "environment"])
def test_keys_come_before_the_default_profile(home: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    configure(home, "[default]\naws_access_key_id = of-profile\naws_secret_access_key = of-profile\n")
    options = {}
    if given == "options":
        options = {"access_key_id": "ours", "secret_access_key": "our-secret"}
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ours")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "our-secret")
    store = open_s3(**options)
    assert (store.connection.clients.profile, "Credential=ours" in store.signed_url("a", expires_in_seconds=60)) == (None, True)


def test_region_and_endpoint_of_the_environment_come_before_those_of_a_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = "aws_access_key_id = a\naws_secret_access_key = b\n"
    configure(home, f"[default]\n{keys}", "[default]\nregion = of-profile\nendpoint_url = http://127.0.0.1:1\n")
    monkeypatch.setenv("AWS_REGION", "of-environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    url = open_s3().signed_url("a", expires_in_seconds=60)
    assert url.startswith("http://127.0.0.1:2/")
    assert "of-environment" in url


def test_a_profile_that_is_not_there(home: Path) -> None:
    configure(home, "[lab]\naws_access_key_id = a\naws_secret_access_key = b\n")
    with pytest.raises(InvalidInput, match=r"no AWS profile 'nobody'.*'lab'"):
        open_s3(profile="nobody")


def test_files_without_the_default_profile_say_nothing(home: Path) -> None:
    configure(home, "[lab]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert open_s3().connection.clients.profile is None


def test_a_broken_file_is_told(home: Path) -> None:
    configure(home, "this is no ini file\n")
    with pytest.raises(InvalidInput, match="AWS profile"):
        open_s3()


def test_the_secret_of_a_profile_does_not_show(home: Path) -> None:
    configure(home, "[default]\naws_access_key_id = a\naws_secret_access_key = secret-of-profile\n")
    leaky = Answer(status=403, body=b"<Message>secret-of-profile</Message>")
    with scripted_store(lambda _: leaky, access_key_id=None, secret_access_key=None) as store, pytest.raises(PermissionError) as caught:
        store.get("a")
    assert isinstance(store, S3Store)
    assert "secret-of-profile" not in f"{caught.value!r}{caught.value.__cause__!r}{store!r}{store.connection!r}"
    assert "***" in str(caught.value)


@pytest.mark.parametrize("use", ["pass", "s.put('a', b'1'); s.signed_url('a', expires_in_seconds=9)"])
def test_boto3_is_not_loaded_without_need(home: Path, use: str) -> None:
    code = f"""
import sys
from tests.servers.scripted import Answer, scripted_store
with scripted_store(lambda _: Answer()) as s:
    {use}
print(sorted(set(sys.modules) & {{"boto3", "botocore", "httpx"}}))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}
    assert home.exists()
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout == "[]\n"
