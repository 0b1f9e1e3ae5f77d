"""Lines, tables and JSON on stdout."""

import pytest

from kist.cli.output import Column, print_array, print_object, print_table, warn

COLUMNS = (Column(title="name"), Column(title="size", right=True), Column(title="note"))


def test_a_table_is_aligned_and_lacks_empty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [("long name", "1 B", ""), ("x", "12 kB", "")])
    assert capsys.readouterr().out == "name        size\nlong name    1 B\nx          12 kB\n"


def test_no_rows_are_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [])
    assert capsys.readouterr().out == ""


def test_cells_and_warnings_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [("a\x1b[2J", "1", "x\ny")])
    warn("bad\nname")
    out, err = capsys.readouterr()
    assert (out.splitlines()[1], err) == (r"a\x1b[2J     1  x\ny", "kist: bad\\nname\n")


def test_an_array_is_written_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    print_array(iter([{"a": 1}, {"b": "\x9b"}]))
    print_array([])
    assert capsys.readouterr().out == '[\n  {"a": 1},\n  {"b": "\\u009b"}\n]\n[]\n'


def test_an_object_is_indented(capsys: pytest.CaptureFixture[str]) -> None:
    print_object({"a": [1]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'
