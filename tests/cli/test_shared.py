"""``kist mount`` for an organisation."""

import io

import pytest
from tests.cli.running import Kist

SECRET = "vEry-secret-1234"
ADD = ("mount", "add", "Lab", "--org", "local", "--url", "s3://bucket/lab", "-o", "region=eu", "--client-id", "A", "--secret-id", "-")


@pytest.fixture
def sharing(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> Kist:
    """The command line, with a mount `lab` of the organisation `local`."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    kist.ok(*ADD)
    return kist


def test_a_mount_of_an_organisation_is_listed_shown_and_removed(sharing: Kist) -> None:
    assert sharing.ok("mount", "list", "--org", "local").lines[1].split()[:3] == ["lab", "s3://bucket/lab", "ada"]
    assert sharing.ok("mount", "show", "lab", "--org", "local").lines[1].split() == ["stands", "for:", "s3://bucket/lab"]
    assert [one["name"] for one in sharing.ok("mount", "list", "--org", "local", "--json").json] == ["lab"]
    assert sharing.ok("mount", "remove", "lab", "--org", "local").out == "removed lab from local; what is in its store stays\n"
    assert sharing.ok("mount", "list", "--org", "local", "--json").json == []


def test_it_is_none_of_this_user(sharing: Kist) -> None:
    assert sharing.ok("mount", "list", "--json").json == []
    assert not (sharing.home / "config" / "mounts.toml").exists()


def test_no_command_prints_its_secret(sharing: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_MOUNT_LAB_SECRET_ID", SECRET)
    told = [sharing.ok(*words, "--json") for words in (ADD, ("mount", "show", "lab", "--org", "local"), ("audit", "list"))]
    assert not any(SECRET in result.out + result.err for result in told)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "lab"), 2),
        (("add", "lab", "--url", "s3://b", "--bucket", "c"), 2),
        (("add", "lab", "--url", "s4://b"), 2),
        (("show", "nothing"), 3),
        (("remove", "nothing"), 3),
    ],
)
def test_what_makes_no_sense_is_refused(sharing: Kist, words: tuple[str, ...], code: int) -> None:
    assert sharing("mount", *words, "--org", "local").code == code
