"""`kist` as a program: exit codes, pipes, interrupts, a terminal."""

import contextlib
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.cli.running import Kist, environment, program, write


def run(home: Path, *words: str, data: bytes | None = None) -> tuple[int, bytes, bytes]:
    process = program(home, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(data, timeout=60)
    return process.returncode, out, err


class Terminal:
    """A terminal, 120 columns wide, in which a program runs; its standard input is a pipe."""

    def __init__(self, home: Path, *words: str, columns: int = 120) -> None:
        self._master, slave = pty.openpty()
        env = environment(home) | {"COLUMNS": str(columns)}
        self.process = subprocess.Popen([sys.executable, *words], env=env, stdin=subprocess.PIPE, stdout=slave, stderr=slave)
        os.close(slave)
        self.seen = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # that is how a terminal says that all have left it
            while data := os.read(self._master, 65536):
                self.seen += data
        os.close(self._master)

    def feed(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.01)

    def end(self) -> int:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait(60)
        self._reader.join()
        return code


def in_terminal(home: Path, *words: str, columns: int = 120) -> bytes:
    """Run `kist` in a terminal and return what is seen there."""
    terminal = Terminal(home, "-m", "kist", *words, columns=columns)
    assert terminal.end() == 0
    return terminal.seen


def test_results_and_errors_leave_apart(saved: Kist) -> None:
    assert run(saved.home, "ls") == (0, b"data/\n", b"")
    code, out, err = run(saved.home, "cat", "nope")
    assert (code, out) == (3, b"")
    assert err.startswith(b"kist: there is nothing at 'nope'")
    assert run(saved.home, "frobnicate")[0] == 2


def test_json_is_all_there_is_on_standard_output(saved: Kist) -> None:
    code, out, err = run(saved.home, "log", "--json")
    assert (code, err, [version["name"] for version in json.loads(out)]) == (0, b"", ["v2", "v1"])


def test_bytes_pass_through_pipes(kist: Kist) -> None:
    data = bytes(range(256)) * 1000
    assert run(kist.home, "save", "piped", "-", "-m", "from a pipe", data=data)[0] == 0
    assert run(kist.home, "cat", "piped")[1] == data
    assert run(kist.home, "export", "piped", "-")[1][:2] == b"\x1f\x8b"


def test_a_reader_that_leaves_ends_it_silently(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", **{f"file-with-a-long-name-{number:05}": "" for number in range(5000)})
    kist.ok("save", "data")
    process = program(kist.home, "ls", "-R", "--long", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (141, b"")
    process.stderr.close()


def test_a_name_that_the_terminal_cannot_write_ends_no_listing(kist: Kist, tmp_path: Path) -> None:
    (write(tmp_path / "data") / "naïve 日本").write_bytes(b"")
    kist.ok("save", "data")
    env = environment(kist.home) | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "kist", "ls", "data"], env=env, capture_output=True, check=True)
    assert done.stdout == b"na\\xefve \\u65e5\\u672c\n"


def test_an_interrupted_save_commits_nothing_and_goes_on_where_it_was(kist: Kist) -> None:
    data = random.Random(1).randbytes(80 << 20)
    process = program(kist.home, "save", "large", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(data)
    packs = kist.home / "data" / "repositories" / "local" / "default" / "packs"
    while len([path for path in packs.rglob("*") if path.is_file()]) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.startswith(b"\nkist: interrupted: nothing was committed")
    assert kist.ok("log", "--json").json == []
    again = json.loads(run(kist.home, "save", "large", "-", "--json", data=data)[1])
    assert again["stats"]["new_bytes"] < len(data) / 2
    assert kist.ok("verify", "--data", "--json").json["ok"] is True


def test_a_bar_shows_what_is_done_in_a_terminal(kist: Kist) -> None:
    terminal = Terminal(kist.home, "-m", "kist", "save", "slow", "-")
    for _ in range(12):
        terminal.feed(b"x" * (8 << 20))
        time.sleep(0.1)
    terminal.wait_for(b"saving slow")
    assert terminal.end() == 0
    assert re.search(rb"saving slow .*\d items?, \d+ MB.*/s", terminal.seen)
    assert b"\x1b[2Ksaved slow as v1" in terminal.seen  # the bar is wiped off


def test_a_bar_with_a_total_shows_what_is_left(home: Path) -> None:
    code = (
        "import time; from kist.cli.progress import Total, watching; from kist.cli.options import Everywhere\n"
        "with watching('restoring \x1b[7m[b]x', Everywhere(), total=Total(items=4, size_bytes=40_000_000)) as progress:\n"
        "    for _ in range(12): time.sleep(0.1); progress(1, 3_000_000)\n"
    )
    terminal = Terminal(home, "-c", code)
    assert terminal.end() == 0
    assert re.search(rb"\d+%.* \d+ items, \d+ MB of 40 MB, \d+ MB/s, 0:0\d left", terminal.seen)
    assert b"restoring \\x1b[7m[b]x" in terminal.seen


def test_the_total_of_a_save_is_found_out_meanwhile(home: Path) -> None:
    code = (
        "import time; from kist.cli.progress import Total, watching; from kist.cli.options import Everywhere\n"
        "with watching('saving', Everywhere(), sizes=lambda: [10_000_000] * 4) as progress:\n"
        "    for _ in range(12): time.sleep(0.1); progress(1, 3_000_000)\n"
    )
    terminal = Terminal(home, "-c", code)
    assert terminal.end() == 0
    assert b" MB of 40 MB" in terminal.seen


def test_quiet_shows_no_bar(kist: Kist) -> None:
    terminal = Terminal(kist.home, "-m", "kist", "save", "slow", "-", "--quiet")
    for _ in range(8):
        terminal.feed(b"x" * (8 << 20))
        time.sleep(0.1)
    assert terminal.end() == 0
    assert b"saving" not in terminal.seen


def test_the_bar_is_gone_after_an_interrupt(kist: Kist) -> None:
    terminal = Terminal(kist.home, "-m", "kist", "save", "slow", "-")
    while b"saving slow" not in terminal.seen:
        terminal.feed(b"x" * (8 << 20))
        time.sleep(0.1)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert b"\x1b[?25h" in terminal.seen  # the cursor is back
    assert b"kist: interrupted: nothing was committed" in terminal.seen


def test_a_terminal_gets_colours_and_escaped_names(kist: Kist, tmp_path: Path) -> None:
    (write(tmp_path / "data" / "sub") / "red\x1b]0;title\x07").write_bytes(b"")
    kist.ok("save", "data", "-m", "\x1b]0;title\x07 [red]message[/red]")
    assert b"\x1b[1;34msub/\x1b[0m" in in_terminal(kist.home, "ls", "data")
    assert b"red\\x1b]0;title\\x07" in in_terminal(kist.home, "ls", "data/sub")
    log = in_terminal(kist.home, "log")
    assert b"\\x1b]0;title\\x07 [red]message[/red]" in log
    assert b"\x1b[1m" in log


def test_a_narrow_terminal_keeps_version_and_message(kist: Kist, tmp_path: Path) -> None:
    kist.ok("save", str(write(tmp_path / "data", a="a")), "-m", "what was done and why")
    seen = in_terminal(kist.home, "log", columns=50)
    assert b"what was done" in seen
    assert b"author" not in seen


@pytest.mark.parametrize("words", [("--help",), ("log",)])
def test_it_loads_no_more_than_it_needs(saved: Kist, words: tuple[str, ...]) -> None:
    code = f"import sys; from kist.cli import main; main({list(words)!r}); sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(saved.home), capture_output=True, check=True, text=True)
    loaded = set(done.stderr.split())
    assert not loaded & {
        "rich.console",
        "obstore",
        "numpy",
        "pyfastcdc",
        "starlette",
        "tarfile",
        "kist.engine.restoring",
        "kist.engine.collect",
    }
    assert ("cyclopts" in loaded) == (words == ("log",))
