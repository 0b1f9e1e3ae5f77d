"""``kist completion``, and what the Tab key offers."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.running import Kist, environment


def offered(kist: Kist, *words: str) -> list[str]:
    """Return what the shell would be told."""
    lines = kist.ok("__complete", *words).lines
    return lines[lines.index("\x1fbegin") + 1 :]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_there_is_a_script_for_each_shell(kist: Kist, shell: str) -> None:
    script = kist.ok("completion", shell).out
    assert "restore" in script
    assert "__complete" in script
    assert kist.ok("completion", shell, "--json").json == {"shell": shell, "script": script.removesuffix("\n")}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script(saved: Kist, tmp_path: Path) -> None:
    (tmp_path / "complete.bash").write_text(saved.ok("completion", "bash").out)
    (tmp_path / "kist").write_text(f'#!/bin/sh\nexec {sys.executable} -m kist "$@"\n')
    (tmp_path / "kist").chmod(0o755)
    ask = 'source ./complete.bash; COMP_WORDS=(kist ls da); COMP_CWORD=2; _kist; echo "${COMPREPLY[@]}"'
    env = environment(saved.home) | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(["bash", "-c", ask], cwd=tmp_path, env=env, capture_output=True, check=True, text=True).stdout == "data/\n"


def test_an_installed_script_is_where_it_says(saved: Kist, tmp_path: Path) -> None:
    env = environment(saved.home) | {"HOME": str(tmp_path / "user")}
    (tmp_path / "user").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "kist", "completion", "bash", "--install"], env=env, capture_output=True, check=True, text=True
    )
    (script,) = (tmp_path / "user" / ".local").rglob("kist")
    assert str(script) in done.stdout
    assert str(script) in (tmp_path / "user" / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("ls", "d"), ["data/"]),
        (("ls", "data/"), ["data/a.txt", "data/sub/"]),
        (("rm", "data/sub/"), ["data/sub/b.bin"]),
        (("restore", "data@"), ["data@main", "data@v2", "data@v1"]),
        (("show", "v"), ["v2", "v1"]),
        (("merge", "m"), ["main"]),
        (("save", "--branch", ""), ["main"]),
        (("diff", "v1", "v2", "data/a"), ["data/a.txt"]),
        (("ls", "nope/"), []),
    ],
)
def test_names_and_refs_are_offered(saved: Kist, words: tuple[str, ...], names: list[str]) -> None:
    assert offered(saved, *words) == names


@pytest.mark.parametrize("before", [True, False])
def test_they_are_those_of_the_repository_that_is_named(saved: Kist, *, before: bool) -> None:
    saved.ok("init", "other")
    words = ("-r", "other", "ls", "") if before else ("ls", "-r", "other", "")
    assert offered(saved, *words) == []


def test_nothing_is_offered_where_there_is_no_repository(saved: Kist, tmp_path: Path) -> None:
    assert offered(saved, "ls", "-r", "nowhere", "") == []
    assert not (tmp_path / "nowhere").exists()


def test_nobody_waits_for_a_server_that_does_not_answer(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("KIST_SERVER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert offered(kist, "repo", "show", "--org", "lab", "cl") == []
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(65536).endswith(b"\r\n\r\n")
            connection.settimeout(0)
            with pytest.raises(BlockingIOError):  # there is no end: whoever asked still waits, but nobody for them
                connection.recv(1)
