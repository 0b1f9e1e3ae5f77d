"""`kist.storage.open`: like the built-in one, anywhere."""

import gc
import io
from pathlib import Path

import pytest

from kist import storage
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Unsupported


def test_text_is_the_default(root: str) -> None:
    with storage.open(f"{root}a.txt", "w") as file:
        assert file.write("naïve\n") == 6
    with storage.open(f"{root}a.txt") as file:
        assert file.read() == "naïve\n"
    assert storage.open(f"{root}a.txt", "rb").read() == "naïve\n".encode()


def test_bytes_come_back(root: str) -> None:
    with storage.open(f"{root}a", "wb") as file:
        file.write(b"binary_data")
    with storage.open(f"{root}a", "rb") as file:
        assert file.read() == b"binary_data"


def test_nothing_is_there_before_the_end(root: str) -> None:
    with storage.open(f"{root}a", "wb") as file:
        file.write(b"1")
        file.flush()
        assert not storage.exists(f"{root}a")
    assert storage.exists(f"{root}a")


@pytest.mark.parametrize("mode", ["w", "a", "r+"])
def test_an_exception_leaves_the_old_content(root: str, mode: str) -> None:
    with storage.open(f"{root}a", "w") as file:
        file.write("old")
    with pytest.raises(RuntimeError):
        half_write(root, mode)
    assert storage.open(f"{root}a").read() == "old"


def half_write(root: str, mode: str) -> None:
    with storage.open(f"{root}a", mode + "b") as file:
        file.write(b"half")  # type: ignore[arg-type]  # it is binary
        raise RuntimeError


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_file_that_is_dropped_writes_nothing(root: str) -> None:
    file = storage.open(f"{root}a", "w")
    file.write("half")
    del file
    gc.collect()
    assert not storage.exists(f"{root}a")


def test_appending(root: str) -> None:
    for text in ("one\n", "two\n"):
        with storage.open(f"{root}log", "a") as file:
            file.write(text)
    assert storage.open(f"{root}log").read() == "one\ntwo\n"


def test_appending_after_somebody_else_is_refused(root: str) -> None:
    with storage.open(f"{root}log", "w") as file:
        file.write("x")
    first, second = storage.open(f"{root}log", "a"), storage.open(f"{root}log", "a")
    first.write("first")
    second.write("second, longer")
    second.close()
    with pytest.raises(Conflict, match="changed by somebody else"):
        first.close()
    assert storage.open(f"{root}log").read() == "xsecond, longer"


def test_only_new(root: str) -> None:
    with storage.open(f"{root}a", "x") as file:
        file.write("1")
    with pytest.raises(FileExistsError):
        storage.open(f"{root}a", "x")
    assert storage.open(f"{root}a").read() == "1"


def test_of_two_that_want_it_new_one_wins(root: str) -> None:
    first, second = storage.open(f"{root}a", "xb"), storage.open(f"{root}a", "xb")
    first.write(b"1")
    second.write(b"2")
    first.close()
    with pytest.raises(AlreadyExists):
        second.close()
    assert storage.open(f"{root}a", "rb").read() == b"1"


def test_reading_and_writing_in_place(root: str) -> None:
    with storage.open(f"{root}a", "wb") as file:
        file.write(b"0123456789")
    with storage.open(f"{root}a", "r+b") as file:
        assert file.read(2) == b"01"
        file.seek(5)
        file.write(b"five")
        file.seek(-1, io.SEEK_END)
        assert file.read() == b"9"
        file.truncate(12)
    assert storage.open(f"{root}a", "rb").read() == b"01234five9\0\0"


def test_what_is_sought_past_the_end_is_filled_with_zeros(root: str) -> None:
    with storage.open(f"{root}a", "wb") as file:
        file.seek(3)
        file.write(b"x")
    assert storage.open(f"{root}a", "rb").read() == b"\0\0\0x"


def test_seeking_while_reading(root: str) -> None:
    content = bytes(range(256)) * 8192
    storage.copy(io.BytesIO(content), f"{root}a")
    with storage.open(f"{root}a", "rb") as file:
        assert (file.seek(-3, io.SEEK_END), file.read(10)) == (len(content) - 3, content[-3:])
        file.seek(100)
        assert (file.read(5), file.tell()) == (content[100:105], 105)
        file.seek(len(content) + 10)
        assert file.read() == b""
        file.seek(0)
        assert file.read() == content


def test_lines(root: str) -> None:
    with storage.open(f"{root}a", "w", newline="\r\n") as file:
        file.writelines(["1\n", "2\n"])
    assert list(storage.open(f"{root}a")) == ["1\n", "2\n"]
    assert storage.open(f"{root}a", newline="").read() == "1\r\n2\r\n"


def test_what_is_missing_is_not_found(root: str) -> None:
    for mode in ("r", "rb", "r+"):
        with pytest.raises(FileNotFoundError):
            storage.open(f"{root}no", mode)


def test_an_odd_name(root: str) -> None:
    name = "ümläut & space+%25.txt"
    with storage.open(f"{root}{name}", "w") as file:
        file.write("x")
    assert len(storage.listdir(root)) == 1
    assert storage.open(f"{root}{name}").read() == "x"


@pytest.mark.parametrize("mode", ["", "q", "rw", "bt", "rr", "+", "rb+t"])
def test_what_is_no_mode_is_refused(mode: str) -> None:
    with pytest.raises(InvalidInput, match="mode"):
        storage.open("memory://x/a", mode)


def test_bytes_have_no_encoding() -> None:
    with pytest.raises(ValueError, match="for text"):
        storage.open("memory://x/a", "rb", encoding="utf-8")


def test_paths_and_urls_are_the_same(tmp_path: Path) -> None:
    with storage.open(tmp_path / "a", "w") as file:
        file.write("x")
    for url in (f"{tmp_path}/a", f"file://{tmp_path}/a", f"FILE://localhost{tmp_path}/a"):
        assert storage.open(url).read() == "x"


def test_an_unknown_scheme_is_told_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"'nonsense'.*memory.*s3"):
        storage.open("nonsense://a/b")


def test_hosts_are_for_hosts() -> None:
    with pytest.raises(InvalidInput, match="host"):
        storage.open("host:///etc/passwd")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="folder"):
        storage.open(f"{tmp_path}/", "w")
    with pytest.raises(NotFound):
        storage.open(tmp_path / "no" / "a", "w")


def test_an_old_version_is_not_written(tmp_path: Path) -> None:
    del tmp_path
    from kist import open_repository  # noqa: PLC0415

    open_repository("kist://lab/cube", create=True)
    with storage.open("kist://lab/cube/a", "w") as file:
        file.write("1")
    with pytest.raises(Unsupported), storage.open("kist://lab/cube@v1/a", "w") as file:
        file.write("2")
