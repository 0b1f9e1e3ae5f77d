"""Writes ``docs/reference/store-matrix.md``: what each kind of store can do, measured on a real server of each.

Run it as ``PYTHONPATH=src:. python docs/store_matrix.py``. It starts the servers of the tests, one after another. Where one is not
installed, its column stays as it is. ``tests/stores/test_abilities.py`` measures again and compares.
"""

import importlib
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kist.stores.abilities import NAMES, Ability, measure
from kist.stores.local import LocalStore
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ReadableStore
from kist.stores.web import open_web

PAGE = Path(__file__).parent / "reference" / "store-matrix.md"
BEGIN, END = "<!-- begin: written by docs/store_matrix.py -->\n", "<!-- end -->\n"
FILE = "file.bin"

type Opened = tuple[ReadableStore, str]
"""A store, and the prefix to measure it at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One kind of store. `server` is the module of ``tests.servers`` that runs it, and the fixture that lends it; empty for none."""

    title: str
    open: Callable[[Any], Opened]
    server: str = ""
    fixture: str = ""


def _bucket(server: Any) -> Opened:  # noqa: ANN401  whatever the module runs
    return server.store(server.make_bucket(), "matrix"), ""


def _versioned(server: Any) -> Opened:  # noqa: ANN401  as above
    return server.store(server.make_bucket(versioned=True), "matrix"), ""


def _swift(server: Any) -> Opened:  # noqa: ANN401  as above
    return server.swift(server.make_signing_container(), "matrix", temp_url_key=server.secret_key), ""


def _azure(server: Any) -> Opened:  # noqa: ANN401  as above
    return server.store(server.make_container(), "matrix"), ""


def _files(server: Any) -> Opened:  # noqa: ANN401  as above
    return server.store(f"matrix-{uuid.uuid4().hex}"), ""


def _local(folder: Path) -> Opened:
    return LocalStore(folder), ""


def _memory(_: object) -> Opened:
    return MemoryStore(), ""


def _web(url: str) -> Opened:
    return open_web(url), FILE


COLUMNS = (
    Column(title="folder", open=_local),
    Column(title="memory", open=_memory),
    Column(title="S3: MiniStack", open=_bucket, server="ministack", fixture="ministack"),
    Column(title="S3: Ceph 16", open=_bucket, server="ceph", fixture="ceph"),
    Column(title="S3: MiniStack, versions", open=_versioned, server="ministack", fixture="ministack"),
    Column(title="S3: Ceph 16, versions", open=_versioned, server="ceph", fixture="ceph"),
    Column(title="S3: Garage", open=_bucket, server="garage", fixture="garage"),
    Column(title="S3: rclone", open=_bucket, server="rclone", fixture="rclone_s3"),
    Column(title="Azure: Azurite", open=_azure, server="azurite", fixture="azurite"),
    Column(title="Swift", open=_swift, server="swift", fixture="swift"),
    Column(title="SFTP: OpenSSH", open=_files, server="sftp", fixture="sftp"),
    Column(title="FTP: pyftpdlib", open=_files, server="ftp", fixture="ftp"),
    Column(title="WebDAV: WsgiDAV", open=_files, server="webdav", fixture="webdav"),
    Column(title="HTTP: no ranges", open=_web, server="web", fixture="plain_web"),
    Column(title="HTTP: rclone", open=_web, server="web", fixture="rclone_web"),
)


def marks(found: list[Ability]) -> list[str]:
    """Return what the page says of one store: a word for each ability, in the order of `NAMES`."""
    return [one.note if one.name == "repositories" and one.has else {True: "yes", False: "no", None: "?"}[one.has] for one in found]


def read_page() -> dict[str, list[str]]:
    """Return the columns of the page by their titles."""
    rows = [line.strip("| \n").split(" | ") for line in _table().splitlines() if line.startswith("| ")]
    if not rows:
        return {}
    return {title: [row[at] for row in rows[1:]] for at, title in enumerate(rows[0]) if at}


def render(columns: dict[str, list[str]]) -> str:
    """Return the table."""
    titles = [column.title for column in COLUMNS if column.title in columns]
    lines = [f"| ability | {' | '.join(titles)} |", f"|{'---|' * (len(titles) + 1)}"]
    lines += [f"| {name} | {' | '.join(columns[title][at] for title in titles)} |" for at, name in enumerate(NAMES)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure all that can be started here, and write the page."""
    columns = read_page()
    for column in COLUMNS:
        with _running(column) as server:
            if server is None:
                sys.stderr.write(f"{column.title} is not installed here: its column stays\n")
                continue
            columns[column.title] = marks(measure(*column.open(server)))
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{render(columns)}\n{END}{rest.partition(END)[2]}")
    return 0


@contextmanager
def _running(column: Column) -> Iterator[object]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if not column.server:
            yield folder
            return
        module = importlib.import_module(f"tests.servers.{column.server}")
        if column.server == "web":
            with _web_server(module, column.fixture, folder) as url:
                yield url
        elif module.program() is None:
            yield None
        else:
            with module.serving(folder) as server:
                yield server


@contextmanager
def _web_server(module: ModuleType, kind: str, folder: Path) -> Iterator[str | None]:
    site = folder / "site"
    site.mkdir()
    (site / FILE).write_bytes(bytes(range(256)))
    if kind == "rclone_web" and module.program() is None:
        yield None
        return
    with module.plain_server(site) if kind == "plain_web" else module.rclone_server(site, folder / "rclone.log") as url:
        yield url


def _table() -> str:
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    sys.exit(main())
