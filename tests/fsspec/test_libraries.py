"""Programs that know nothing of kist read and write repositories and mounts through fsspec."""

import importlib.util
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import fsspec  # type: ignore[import-untyped]  # it has no types
import pandas  # type: ignore[import-untyped]  # as above
import pytest
from tests.servers.process import run
from tests.servers.s3 import S3Server

import kist
from kist import storage

TABLE = pandas.DataFrame({"name": ["a", "ü"], "value": [1, 2]})


@pytest.fixture
def repository(home: Path) -> kist.Repository:
    assert not home.exists()
    return kist.open_repository("kist://org/repo", create=True)


@pytest.fixture(params=["kist", "memory", "folder", pytest.param("bucket", marks=pytest.mark.peer("MiniStack"))])
def url(request: pytest.FixtureRequest, mounted: Callable[..., str], tmp_path: Path) -> str:
    """A folder of each kind."""
    if request.param == "kist":
        kist.open_repository("kist://org/repo", create=True)
        return "kist://org/repo/data"
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("ministack")
        return f"{mounted(f's3://{server.make_bucket()}', **server.options())}://data"
    (tmp_path / "there").mkdir()
    return f"{mounted(f'memory://{tmp_path.name}' if request.param == 'memory' else str(tmp_path / 'there'))}://data"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "ä b.csv.zip"])
def test_pandas_writes_and_reads_csv(url: str, name: str) -> None:
    TABLE.to_csv(f"{url}/{name}", index=False)
    assert pandas.read_csv(f"{url}/{name}").equals(TABLE)


def test_pandas_appends(url: str) -> None:
    TABLE.to_csv(f"{url}/a.csv", index=False)
    TABLE.to_csv(f"{url}/a.csv", index=False, header=False, mode="a")
    assert len(pandas.read_csv(f"{url}/a.csv")) == 4


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed: pip install pyarrow")
def test_pandas_writes_and_reads_parquet(url: str) -> None:
    TABLE.to_parquet(f"{url}/a.parquet")
    assert pandas.read_parquet(f"{url}/a.parquet").equals(TABLE)


def test_pandas_writes_json_and_pickles(url: str) -> None:
    TABLE.to_json(f"{url}/a.json", orient="records", lines=True)
    TABLE.to_pickle(f"{url}/a.pickle")
    assert pandas.read_json(f"{url}/a.json", lines=True).equals(TABLE)
    assert pandas.read_pickle(f"{url}/a.pickle").equals(TABLE)


def test_pandas_reads_an_old_version(repository: kist.Repository) -> None:
    TABLE.to_csv("kist://org/repo/data/a.csv", index=False)
    TABLE.head(1).to_csv("kist://org/repo/data/a.csv", index=False)
    assert [version.message for version in repository.log()] == ["Write data/a.csv"] * 2
    assert pandas.read_csv("kist://org/repo@v1/data/a.csv").equals(TABLE)
    assert len(pandas.read_csv("kist://org/repo/data/a.csv")) == 1


def test_what_pandas_fails_to_write_is_not_there(url: str) -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pandas.DataFrame({"a": ["x", Unwritable()]}).to_csv(f"{url}/a.csv", chunksize=1)
    assert not storage.exists(f"{url}/a.csv")


def test_pandas_passes_options_on(repository: kist.Repository) -> None:
    assert repository.id
    with pytest.raises(ValueError, match="does not take all of colour"):
        pandas.read_csv("kist://org/repo/a.csv", storage_options={"colour": "red"})


def test_pandas_says_that_there_is_no_file(url: str) -> None:
    with pytest.raises(FileNotFoundError):
        pandas.read_csv(f"{url}/missing.csv")


def test_pandas_takes_a_hyphen_for_an_underscore(home: Path) -> None:
    storage.mount("my_storage", url=f"memory://{home.parent.name}")
    try:
        TABLE.to_csv("my-storage://a.csv", index=False)
        with storage.open("my_storage://a.csv") as file:
            assert pandas.read_csv(file).equals(TABLE)
    finally:
        storage.unmount("my_storage")


def test_duckdb_reads_and_writes(url: str, connection: duckdb.DuckDBPyConnection) -> None:
    connection.register_filesystem(fsspec.filesystem(url.partition("://")[0]))
    for name in ("a.csv", "b.csv", "c.parquet", "d b.parquet"):
        connection.sql(f"copy (select range as i, '{name}' as name from range(3000)) to '{url}/{name}'")
    for pattern in ("read_csv('{}/*.csv')", "'{}/*.parquet'"):
        assert connection.sql(f"select count(*), sum(i), max(name) from {pattern.format(url)}").fetchall()[0][:2] == (6000, 8997000)


def test_duckdb_reads_an_old_version(repository: kist.Repository, connection: duckdb.DuckDBPyConnection) -> None:
    connection.register_filesystem(fsspec.filesystem("kist"))
    for content in ("i\n1\n", "i\n2\n"):
        repository.save("data/a.csv", content.encode())
    found = connection.sql("select a.i, b.i from read_csv('kist://org/repo@v1/data/a.csv') a, read_csv('kist://org/repo/data/a.csv') b")
    assert found.fetchall() == [(1, 2)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_duckdb_fails_to_write_is_not_there(url: str, connection: duckdb.DuckDBPyConnection, kind: str) -> None:
    connection.register_filesystem(fsspec.filesystem(url.partition("://")[0]))
    query = "select case when range = 499999 then error('no') else range end as i from range(500000)"
    with pytest.raises(duckdb.Error, match="no"):
        connection.sql(f"copy ({query}) to '{url}/a.{kind}'")
    assert not storage.exists(f"{url}/a.{kind}")


@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_caches_of_fsspec_read(url: str, tmp_path: Path, kind: str) -> None:
    with fsspec.open(f"{url}/a", "wb") as file:
        file.write(b"0123456789")
    options = {kind: {"cache_storage": str(tmp_path / "cache"), **({} if kind == "simplecache" else {"check_files": True})}}
    with fsspec.open(f"{kind}::{url}/a", **options) as file:
        assert file.read() == b"0123456789"


def test_a_cache_that_checks_sees_a_new_state(url: str, tmp_path: Path) -> None:
    cached = fsspec.filesystem(
        "filecache", target_protocol=url.partition("://")[0], cache_storage=str(tmp_path / "cache"), check_files=True, expiry_time=False
    )
    for content in (b"old", b"newer"):
        with fsspec.open(f"{url}/a", "wb") as file:
            file.write(content)
        assert cached.cat_file(f"{url}/a") == content


def test_simplecache_writes(url: str, tmp_path: Path) -> None:
    with fsspec.open(f"simplecache::{url}/a", "wb", simplecache={"cache_storage": str(tmp_path / "cache")}) as file:
        file.write(b"1")
    with fsspec.open(f"{url}/a") as file:
        assert file.read() == b"1"


def test_a_mapping_of_keys(url: str) -> None:
    mapper = fsspec.get_mapper(url)
    mapper["a/b"] = b"1"
    mapper["c"] = b"2"
    assert {key: mapper[key] for key in mapper} == {"a/b": b"1", "c": b"2"}
    assert mapper.getitems(["a/b", "missing"], on_error="omit") == {"a/b": b"1"}
    del mapper["a/b"]
    assert list(mapper) == ["c"]


def test_a_zip_is_read_in_place(url: str) -> None:
    with fsspec.open(f"{url}/a.zip", "wb") as file, zipfile.ZipFile(file, "w") as written:
        written.writestr("b.txt", "inside")
    with fsspec.open(f"zip://b.txt::{url}/a.zip", "rt") as file:
        assert file.read() == "inside"


def test_many_files_open_by_a_pattern(url: str) -> None:
    with fsspec.open_files(f"{url}/part-*.json", "w", num=3) as files:
        for number, file in enumerate(files):
            file.write(json.dumps(number))
    with fsspec.open_files(f"{url}/part-*.json", "r") as files:
        assert [json.load(file) for file in files] == [0, 1, 2]


def test_kist_is_registered_by_its_installation(tmp_path: Path) -> None:
    """As an installed kist is: by its entry point, with no import of kist."""
    folder = tmp_path / "kist-0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: kist\nVersion: 0\n")
    declared = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."fsspec.specs"]\nkist = "kist.fsspec:KistFileSystem"\n' in declared
    (folder / "entry_points.txt").write_text("[fsspec.specs]\nkist = kist.fsspec:KistFileSystem\n")
    script = f"import sys; sys.path.append({str(tmp_path)!r}); import fsspec; print(fsspec.filesystem('kist').protocol)"
    assert run([sys.executable, "-c", script]).strip() == "kist"
