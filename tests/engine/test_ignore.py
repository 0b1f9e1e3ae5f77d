"""What a save leaves out is what git would leave out."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kist.engine.folders import scan
from kist.engine.ignore import is_ignored, parse_rules
from kist.errors import InvalidInput

FOLDERS = ["", "a/", "a/b/", "a/b/a/", "b/", "b/a/", "ab/", "a.b/"]
FILES = ["x", "ab.x", "b.y", "x y", "x ", "#c", "!d", "-", "]", "a^b", "X1", "*", "x\ny"]

pieces = st.sampled_from(
    [
        "a",
        "b",
        "x",
        "y",
        ".",
        "*",
        "*",
        "?",
        "/",
        "/",
        "**/",
        "/**/",
        "[ab]",
        "[!a]",
        "[^b-y]",
        "[]-]",
        "[[]",
        "[ -~]",
        "[",
        "\\",
        "\\*",
        " ",
        "#",
        "!",
        "-",
    ]
)
patterns = st.builds("".join, st.lists(pieces, min_size=1, max_size=6)).filter(lambda text: not is_git_quirk(text))
lines = st.builds(
    lambda mark, pattern, end: mark + pattern + end, st.sampled_from(["", "", "!"]), patterns, st.sampled_from(["", "", "/", " "])
).filter(lambda line: not is_pathspec_quirk(line))
rules = st.lists(lines, max_size=5)
asked_lines = lines.filter(lambda line: not line.startswith("#") and not line.endswith(" "))  # git takes these literally


def is_git_quirk(pattern: str) -> bool:
    """Where git's documentation and its code part: stars get special after a literal beginning (``ab**/x``) and before an escaped slash."""
    stars = pattern.find("**")
    return (stars > 0 and pattern[stars - 1] != "/") or "\\/" in pattern or re.search(r"\[[^\]]*/", pattern) is not None


def is_pathspec_quirk(line: str) -> bool:
    """Where pathspec reads a form that nobody writes in another way than git, and we follow it.

    Three stars between slashes are two to git, spaces that end a line may follow a backslash that escapes nothing or one of them, and
    ``!/`` is nothing. Brackets that hold a bracket are refused or read as Python does; an escaped slash is refused.
    """
    return "***" in line or "\\/" in line or re.search(r"\\\\ +$|\\  +$|^!/ *$|\[[!^]?.[^\]]*[\[\\]", line) is not None


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git to compare with")
    top = tmp_path_factory.mktemp("ignored") / "tree"
    for folder in FOLDERS:
        (top / folder).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (top / folder / name).touch()
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    return top


def kept_by_git(top: Path, asked: list[str]) -> set[str]:
    command = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-o", "-z", "--exclude-per-directory=.kistignore"]
    for pattern in asked:
        command += [f"--exclude={pattern}"]
    found = subprocess.run(command, cwd=top, check=True, capture_output=True).stdout
    return set(found.decode().split("\0")) - {""}


def kept_by_us(top: Path, asked: list[str]) -> set[str]:
    found = scan(top, ignore=asked, skipped=lambda path, reason: pytest.fail(f"{path}: {reason}"))
    return {item.path for item in found if item.kind == "file" and not item.path.startswith(".git/")}


@pytest.mark.peer("git")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(top=rules, nested=rules, deep=rules, asked=st.lists(asked_lines, max_size=2))
@example(top=["*", "!*/", "!*.x"], nested=[], deep=[], asked=[])
@example(top=["x", "/a/b/**"], nested=["!x", "b/"], deep=["!*"], asked=[])
@example(top=["**/a/**/x", "a/**", "!a/b/"], nested=["!b.y"], deep=[], asked=["!ab.x"])
@example(top=["\\#c", "\\!d", "x\\ ", "[]-]", "a[^x]b", "\\*"], nested=[], deep=[], asked=[])
@example(top=["[", "a\\", "a//b"], nested=["# x", "", "/"], deep=["!"], asked=[])
@example(top=["a/**", "!a/b/"], nested=["b/**/", "!x"], deep=[], asked=["/**/"])
@example(top=["a[!x]", "x[ -~]", "[[]?", "a[!b]x", "[!&&x~~]"], nested=[], deep=[], asked=[])
def test_keeps_what_git_keeps(tree: Path, top: list[str], nested: list[str], deep: list[str], asked: list[str]) -> None:
    for folder, own in (("", top), ("a", nested), ("a/b", deep)):
        (tree / folder / ".kistignore").write_text("".join(line + "\n" for line in own))
    assert kept_by_us(tree, asked) == kept_by_git(tree, asked)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_reads_any_line_ending_and_a_byte_order_mark(tmp_path: Path, ending: str) -> None:
    (tmp_path / ".kistignore").write_bytes(f"\ufeff*.log{ending}*.tmp".encode())
    for name in ("a.log", "a.tmp", "a.csv"):
        (tmp_path / name).touch()
    assert kept_by_us(tmp_path, []) == {".kistignore", "a.csv"}


def test_an_ignored_folder_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".kistignore").write_text("!*\n")
    (tmp_path / "cache" / "x").touch()
    assert kept_by_us(tmp_path, ["cache/"]) == set()
    assert [item.path for item in scan(tmp_path, ignore=["cache/"], skipped=print)] == [""]


def test_a_folder_pattern_spares_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    assert kept_by_us(tmp_path, ["cache/"]) == {"cache"}


def test_a_question_mark_is_one_character_not_one_byte(tmp_path: Path) -> None:
    (tmp_path / "é").touch()
    assert kept_by_us(tmp_path, ["?"]) == set()


def test_a_rules_file_that_is_a_link_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*.log\n")
    (tmp_path / "a.log").touch()
    (tmp_path / ".kistignore").symlink_to("rules")
    assert kept_by_us(tmp_path, []) == {"rules"}
    (tmp_path / ".kistignore").unlink()
    (tmp_path / ".kistignore").mkdir()
    assert kept_by_us(tmp_path, []) == {"rules", "a.log"}


def test_one_string_is_no_list_of_patterns(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="list of patterns"):
        scan(tmp_path, ignore="*.log", skipped=print)


def test_a_rules_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".kistignore").write_bytes(b"x\n" * (1 << 20))
    with pytest.raises(InvalidInput, match="patterns"):
        list(scan(tmp_path, skipped=print))


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "**/a/" * 20 + "b", "**/*a*/" * 12 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    found = parse_rules([pattern])
    assert found is not None
    started = time.process_time()
    is_ignored([found], "a" * 255, folder=False)
    is_ignored([found], "a/" * 1000 + "c", folder=False)
    assert time.process_time() - started < 1


def test_no_pattern_no_rules() -> None:
    assert parse_rules(["", "# comment", "   ", "/", "!", "["]) is None


@pytest.mark.parametrize("pattern", ["x[[:upper:]]", "!x[[:upper:]]", "x[\\]]", "x[a\\-z]", "x[+--]", "x[b-a]", "a\\/b"])
def test_what_would_be_read_otherwise_than_by_git_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match=r"bracket|slash"):
        parse_rules([pattern])


def test_no_pattern_costs_no_import() -> None:
    program = "import sys; from kist.engine.ignore import parse_rules; parse_rules(['# comment', '']); sys.exit('pathspec' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_many_files_take_no_time() -> None:
    rules = parse_rules(["*.pyc", "__pycache__/", "/build/", "*.log", "node_modules/", "docs/**/tmp", "*.tmp", "data/*.bin", "!a", "b[!c]"])
    assert rules is not None
    paths = [f"project/src/package{number % 50}/module_{number}.py" for number in range(20_000)]
    started = time.process_time()
    assert not any(is_ignored([rules], path, folder=False) for path in paths)
    assert time.process_time() - started < 0.5
