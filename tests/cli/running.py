"""Runs `kist` in this process, or as a program."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kist.cli import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command went."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command said
        return json.loads(self.out)


class Kist:
    """Commands in this process, on the repository that nobody has to name; `home` is where it and its cache are."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self._capsys = capsys
        self.home = home

    def __call__(self, *words: str) -> Result:
        self._capsys.readouterr()
        code = main(words)
        out, err = self._capsys.readouterr()
        return Result(code=code, out=out, err=err)

    def ok(self, *words: str) -> Result:
        """Run a command that has to do well."""
        result = self(*words)
        assert result.code == 0, result.err
        return result


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a `kist` of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KIST_", "NO_COLOR"))}
    source = str(Path(__file__).parents[2] / "src")
    return kept | {"KIST_HOME": str(home), "KIST_AUTHOR": "ada", "PYTHONPATH": source, "TERM": "xterm", "TZ": "UTC"}


def program(home: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - those of Popen
    """Start `kist` as a program."""
    return subprocess.Popen([sys.executable, "-m", "kist", *words], env=environment(home), **options)


def write(folder: Path, **files: str | bytes) -> Path:
    """Make a folder with files; ``__`` in a name is a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder
