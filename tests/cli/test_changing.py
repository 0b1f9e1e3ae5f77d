"""``kist rm`` and ``kist mv``."""

from tests.cli.running import Kist


def test_a_path_is_removed_and_earlier_versions_keep_it(saved: Kist) -> None:
    assert saved.ok("rm", "data/sub/", "-m", "gone").out.startswith("removed data/sub in v3 (")
    assert (saved.ok("ls", "data").lines, saved.ok("ls", "data@v2").lines) == (["a.txt"], ["a.txt", "sub/"])
    assert saved.ok("show", "--json").json["message"] == "gone"


def test_a_path_gets_another_name(saved: Kist) -> None:
    assert saved.ok("mv", "data", "kept/data/").out.startswith("moved data to kept/data in v3 (")
    assert saved.ok("ls").lines == ["kept/"]


def test_both_are_versions_as_json(saved: Kist) -> None:
    assert saved.ok("mv", "data", "other", "--json").json["name"] == "v3"
    assert saved.ok("rm", "other", "--json").json["name"] == "v4"


def test_what_cannot_be_is_told(saved: Kist) -> None:
    codes = [saved(*line.split()).code for line in ("rm nope", "mv nope other", "mv data data/sub/x", "mv data/a.txt data/sub")]
    assert codes == [3, 3, 2, 4]
