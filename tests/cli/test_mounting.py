"""``kist mount``."""

import contextlib
import io
import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest
from tests.cli.running import Kist, program

SECRET = "vEry-secret-1234"


@pytest.fixture
def mounting(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Kist:
    """The command line, where nothing is configured and nobody types."""
    for name in list(os.environ):
        if name.startswith(("KIST_MOUNT_", "KIST_CONFIG", "APYFAL_", "RCLONE_", "FSSPEC_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return Kist(capsys, home)


def saved(kist: Kist) -> Path:
    return kist.home / "config" / "mounts.toml"


def test_a_mount_is_added_listed_shown_and_removed(mounting: Kist) -> None:
    assert mounting.ok("mount", "add", "Lab", "--url", "s3://bucket/lab/", "--client-id", "A").out == "mounted s3://bucket/lab as lab://\n"
    assert mounting.ok("mount", "list").lines[1].split()[:3] == ["lab", "s3", "s3://bucket/lab"]
    shown = mounting.ok("mount", "show", "lab").lines
    assert [line.split()[-1] for line in shown] == ["lab", "s3://bucket/lab", "s3", "~/home/config/mounts.toml", "A"]
    assert mounting.ok("mount", "remove", "lab").out == "removed lab; what is in its store stays\n"
    assert mounting.ok("mount", "list").out == ""


def test_programs_get_json(mounting: Kist) -> None:
    wanted = {"name": "lab", "url": "s3://b", "provider": "s3", "options": {"region": "eu"}, "origin": str(saved(mounting))}
    assert mounting.ok("--json", "mount", "add", "lab", "--provider", "s3", "--bucket", "b", "-o", "region=eu").json == wanted
    assert mounting.ok("mount", "list", "--json").json == [wanted]
    assert mounting.ok("mount", "--json", "show", "lab://").json == wanted
    assert mounting.ok("mount", "remove", "lab", "--json").json == {"name": "lab", "removed": True}
    assert mounting.ok("mount", "list", "--json").json == []


def test_a_scheme_gets_default_options(mounting: Kist) -> None:
    assert mounting.ok("mount", "add", "s3", "-o", "region=eu").out == "s3:// URLs take these options from now on\n"
    assert mounting.ok("mount", "list").lines[1].split()[:7] == ["s3", "s3", "default", "options", "of", "s3://", "URLs"]


@pytest.mark.parametrize("words", [("--secret-id", "-"), ("-o", "secret_access_key=-")])
def test_a_secret_is_read_from_standard_input(mounting: Kist, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    mounting.ok("mount", "add", "lab", "--url", "s3://bucket", "--client-id", "A", *words)
    assert f'secret_access_key = "{SECRET}"' in saved(mounting).read_text()
    assert stat.S_IMODE(saved(mounting).stat().st_mode) == 0o600


def test_a_secret_is_read_from_the_environment(mounting: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_MOUNT_MY_LAB_SECRET_ID", SECRET)
    mounting.ok("mount", "add", "my-lab", "--url", "s3://bucket", "--secret-id", "-")
    assert SECRET in saved(mounting).read_text()


def test_a_secret_is_asked_for_in_a_terminal_and_does_not_show(mounting: Kist) -> None:
    terminal, inner = pty.openpty()
    words = ("mount", "add", "lab", "--url", "s3://bucket", "--client-id", "A")
    process = program(mounting.home, *words, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
    os.close(inner)
    seen = b""
    with contextlib.suppress(OSError):  # that is how a terminal says that all have left it
        while data := os.read(terminal, 65536):
            seen += data
            if seen.endswith(b"secret_id of lab: "):
                os.write(terminal, f"{SECRET}\n".encode())
    os.close(terminal)
    assert process.wait(60) == 0, seen
    assert b"mounted s3://bucket as lab://" in seen
    assert SECRET.encode() not in seen
    assert SECRET in saved(mounting).read_text()


def test_a_secret_of_the_environment_is_not_kept_unless_asked_for(mounting: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_MOUNT_LAB_SECRET_ID", SECRET)
    mounting.ok("mount", "add", "lab", "--url", "s3://bucket")
    assert SECRET not in saved(mounting).read_text()
    assert mounting.ok("mount", "show", "lab", "--json").json["options"] == {"secret_access_key": "***"}


def test_no_secret_is_an_error_not_an_empty_one(mounting: Kist) -> None:
    result = mounting("mount", "add", "lab", "--url", "s3://bucket", "--secret-id", "-")
    assert (result.code, "KIST_MOUNT_LAB_SECRET_ID" in result.err) == (2, True)
    assert not saved(mounting).exists()


def test_no_command_prints_a_secret(mounting: Kist) -> None:
    mounting.ok("mount", "add", "lab", "--url", "sftp://host/x", "--client-id", "ada", "--secret-id", SECRET, "-o", f"passphrase={SECRET}")
    told = [
        mounting("mount", *words)
        for words in (
            ("list",),
            ("list", "--json"),
            ("show", "lab"),
            ("show", "lab", "--json"),
            ("add", "lab", "--url", "s3://other"),
            ("add", "lab", "--url", "sftp://host/x", "--client-id", "ada", "--secret-id", SECRET, "--json"),
            ("add", "lab", "--url", f"sftp://ada:{SECRET}@host/x", "--replace"),
            ("add", "lab", "--url", f"https://host/x?sig={SECRET}", "--replace"),
            ("add", "lab", "--url", "sftp://host/x", "-o", SECRET),
            ("remove", "lab"),
        )
    ]
    assert not any(SECRET in result.out + result.err for result in told)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "lab"), 2),
        (("add", "kist", "--url", "s3://b"), 2),
        (("add", "lab", "--url", "s4://b"), 2),
        (("add", "lab", "--url", "s3://b", "-o", "region"), 2),
        (("add", "lab", "-o", "url=s3://b"), 2),
        (("show", "lab"), 3),
        (("remove", "lab"), 3),
        (("nothing",), 2),
    ],
)
def test_what_makes_no_sense_is_refused(mounting: Kist, words: tuple[str, ...], code: int) -> None:
    assert mounting("mount", *words).code == code
    assert not saved(mounting).exists()


def test_a_taken_name_needs_replace(mounting: Kist) -> None:
    mounting.ok("mount", "add", "lab", "--url", "s3://one")
    assert mounting("mount", "add", "lab", "--url", "s3://two").code == 4
    mounting.ok("mount", "add", "lab", "--url", "s3://two", "--replace")
    assert mounting.ok("mount", "show", "lab", "--json").json["url"] == "s3://two"


def test_who_is_overruled_by_another_file_is_told(mounting: Kist, tmp_path: Path) -> None:
    path = tmp_path / "kist.toml"
    path.write_text('[storage.lab]\nurl = "s3://theirs"\n')
    result = mounting.ok("mount", "add", "lab", "--url", "s3://mine")
    assert f"{path} says something of 'lab' too" in result.err


def test_a_mount_of_another_file_is_removed_there(mounting: Kist, tmp_path: Path) -> None:
    path = tmp_path / "kist.toml"
    path.write_text('[storage.lab]\nurl = "s3://bucket"\n')
    result = mounting("mount", "remove", "lab")
    assert (result.code, str(path) in result.err) == (2, True)


def test_a_broken_section_is_one_line_on_stderr(mounting: Kist, tmp_path: Path) -> None:
    (tmp_path / "kist.toml").write_text('[storage.lab]\nurl = "s3://bucket"\n[storage.bad]\nprovider = "s4"\n')
    process = program(mounting.home, "mount", "list", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = (text.decode() for text in process.communicate(timeout=60))
    assert (process.returncode, out.splitlines()[1].split()[:3]) == (0, ["lab", "s3", "s3://bucket"])
    (line,) = err.splitlines()
    assert line.startswith(f"kist: {tmp_path}/kist.toml, line 4, section [storage.bad], key 'provider': ")


def test_names_are_completed(mounting: Kist) -> None:
    mounting.ok("mount", "add", "lab", "--url", "s3://bucket")
    assert "lab" in mounting("__complete", "mount", "show", "l").out
