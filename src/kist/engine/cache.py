"""What a machine remembers of a repository, in SQLite: unchanged files, places of frames, ref entries, which versions changed which path.

Losing it costs time, never data: whatever goes wrong here, the cache forgets and the work goes on. Several processes may share one.
Paths are kept by their sort key, so that a folder's rows come in the order of a scan.
"""

import contextlib
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kist.engine.entries import Place

__all__ = ["Cache", "KnownFile", "decode_known", "encode_known", "signature"]

SCHEMA = """
create table if not exists frames (id blob primary key, pack blob, offset int, stored int, raw int) without rowid;
create table if not exists entries (key text primary key, data blob) without rowid;
create table if not exists files (root text, key blob, known blob, primary key (root, key)) without rowid;
create table if not exists summaries (node blob, folder text, lines blob, primary key (node, folder)) without rowid;
create table if not exists history (ref text, seq int, txn blob, version blob, filter blob, primary key (ref, seq, txn)) without rowid;
create table if not exists changes (path text, ref text, seq int, txn blob, primary key (path, ref, seq, txn)) without rowid;
pragma user_version = 1;
"""
SIGNATURE = struct.Struct("<qqqQQ")
KNOWN = struct.Struct("<32sI16sIII")
NOWHERE = Place(bytes(16), 0, 0, 0)
LOOKUP = 500
BUSY_SECONDS = 5.0
TURN_SECONDS = 0.005


class KnownFile(NamedTuple):
    """What the content of a file was when an earlier save read it."""

    hash: bytes
    crc32c: int
    recipe: bytes
    place: Place | None


def signature(size: int, mtime_ns: int, ctime_ns: int, inode: int, device: int) -> bytes:
    """Return what must be the same for a file to count as unchanged."""
    return SIGNATURE.pack(size, mtime_ns, ctime_ns, inode, device)


def encode_known(sign: bytes, known: KnownFile) -> bytes:
    """Return a row's value: it starts with the signature, so that unchanged files need not be decoded."""
    return sign + KNOWN.pack(known.hash, known.crc32c, *(known.place or NOWHERE)) + known.recipe


def decode_known(value: bytes) -> KnownFile:
    """Return what a row's value says behind the signature."""
    content, crc, *place = KNOWN.unpack_from(value, SIGNATURE.size)
    return KnownFile(content, crc, value[SIGNATURE.size + KNOWN.size :], Place(*place) if place[0] != NOWHERE.pack else None)


class Cache:
    """The cache of one repository. Threads may share one."""

    def __init__(self, path: str, *, wait_seconds: float = BUSY_SECONDS) -> None:
        """Open the file at `path`, or make it; one that is no database is thrown away. Wait so long for other processes."""
        self._lock = threading.RLock()
        self._path = path
        self._knows_frames = False
        self._db: sqlite3.Connection | None = None
        deadline = time.monotonic() + wait_seconds
        thrown_away = False
        while self._db is None:
            try:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                self._db = self._connect(path, wait_seconds)
            except sqlite3.OperationalError as error:
                # SQLite does not wait for its turn to turn the write-ahead log on.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    return  # busy, or a full disk: do without
                time.sleep(TURN_SECONDS)
            except (sqlite3.DatabaseError, OSError):
                if thrown_away:
                    return
                thrown_away = True
                with contextlib.suppress(OSError):
                    os.unlink(path)

    @staticmethod
    def _connect(path: str, wait_seconds: float) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None, check_same_thread=False)
        try:
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = off")
            db.execute("pragma cache_size = -16000")
            if db.execute("pragma user_version").fetchone()[0] != 1:
                db.executescript(SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    @property
    def knows_frames(self) -> bool:
        """Whether any frame is remembered; asked once, for other processes only add."""
        if not self._knows_frames:
            self._knows_frames = bool(self._rows("select 1 from frames limit 1", ()))
        return self._knows_frames

    def __del__(self) -> None:
        """Close the file of a cache that nobody uses any more."""
        if contextlib is not None:  # at the end of the interpreter it may be gone already
            with contextlib.suppress(Exception):
                self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    # Frames

    def places(self, frame_ids: Sequence[bytes]) -> dict[bytes, Place]:
        """Return the places of those frames that are remembered."""
        found: dict[bytes, Place] = {}
        for at in range(0, len(frame_ids), LOOKUP):
            part = frame_ids[at : at + LOOKUP]
            marks = ",".join("?" * len(part))
            rows = self._rows(f"select id, pack, offset, stored, raw from frames where id in ({marks})", part)  # noqa: S608 - marks only
            found |= {row[0]: Place(*row[1:]) for row in rows}
        return found

    def remember(self, placed: Iterable[tuple[bytes, Place]]) -> None:
        """Remember places."""
        rows = sorted((one, place.pack, place.offset, place.stored, place.raw) for one, place in placed)
        self._write("insert or replace into frames values (?, ?, ?, ?, ?)", rows)

    def forget_packs(self, packs: Iterable[bytes]) -> None:
        """Forget what lies in packs that are gone, or must not be used."""
        gone = [(pack,) for pack in packs]
        self._write("delete from frames where pack = ?", gone)
        if gone:
            self._write("delete from files where substr(known, ?, 16) = ?", ((SIGNATURE.size + 37, pack) for (pack,) in gone))

    def forget_files(self) -> None:
        """Forget all files, so that the next save reads each of them again."""
        self._write("delete from files", [()])

    # Listings

    def summaries(self, nodes: Sequence[bytes], folder: str) -> dict[bytes, bytes]:
        """Return what is remembered of the lines that leaves give to a folder's listing."""
        found: dict[bytes, bytes] = {}
        for at in range(0, len(nodes), LOOKUP):
            part = nodes[at : at + LOOKUP]
            marks = ",".join("?" * len(part))
            found |= dict(self._rows(f"select node, lines from summaries where node in ({marks}) and folder = ?", (*part, folder)))  # noqa: S608 - marks only
        return found

    def remember_summaries(self, folder: str, summaries: Iterable[tuple[bytes, bytes]]) -> None:
        """Remember lines, by leaf."""
        self._write("insert or replace into summaries values (?, ?, ?)", ((node, folder, lines) for node, lines in summaries))

    # Ref entries

    def entry(self, key: str) -> bytes | None:
        """Return the stored bytes of a ref entry."""
        rows = self._rows("select data from entries where key = ?", (key,))
        return rows[0][0] if rows else None

    def remember_entry(self, key: str, data: bytes) -> None:
        """Remember the stored bytes of a ref entry."""
        self._write("insert or replace into entries values (?, ?)", [(key, data)])

    # Files

    def files(self, root: str) -> Iterator[tuple[bytes, bytes]]:
        """Return sort key and `encode_known` value of the files below a folder of this machine, in order."""
        return iter(self._rows("select key, known from files where root = ? order by key", (root,)))

    def remember_files(self, root: str, known: Iterable[tuple[bytes, bytes]], gone: Iterable[bytes]) -> None:
        """Remember files below a folder, and forget others."""
        self._write("insert or replace into files values (?, ?, ?)", ((root, *one) for one in known))
        self._write("delete from files where root = ? and key = ?", ((root, key) for key in gone))

    # History

    def indexed(self, ref: str) -> set[tuple[int, bytes]]:
        """Return number and transaction of the entries of a ref whose changes are indexed."""
        return set(self._rows("select seq, txn from history where ref = ?", (ref,)))

    def versions(self, ref: str, prefix: str) -> list[tuple[int, bytes]]:
        """Return number and transaction of the indexed entries of a ref whose version's id starts with some hexadecimal digits."""
        return self._rows("select seq, txn from history where ref = ? and lower(hex(version)) like ?", (ref, f"{prefix}%"))

    def index_entries(self, rows: Iterable[tuple[str, int, bytes, bytes, bytes]], paths: Iterable[tuple[str, str, int, bytes]]) -> None:
        """Index entries as ``(ref, seq, txn, version, filter)``, and the paths that they changed as ``(path, ref, seq, txn)``."""
        self._write("insert or replace into changes values (?, ?, ?, ?)", paths)
        self._write("insert or replace into history values (?, ?, ?, ?, ?)", rows)

    def changes(self, ref: str, path: str) -> list[tuple[int, bytes]]:
        """Return number and transaction of the indexed entries that changed a path, newest first."""
        return self._rows("select seq, txn from changes where path = ? and ref = ? order by seq desc, txn desc", (path, ref))

    def filters(self, ref: str) -> list[tuple[int, bytes, bytes]]:
        """Return number, transaction and filter of the indexed entries that have one."""
        return self._rows("select seq, txn, filter from history where ref = ? and filter <> x''", (ref,))

    def _rows(self, sql: str, values: Sequence[object]) -> list[Any]:
        with self._lock:
            if self._db is None:
                return []
            try:
                return self._db.execute(sql, values).fetchall()
            except (sqlite3.OperationalError, OverflowError):
                return []
            except sqlite3.DatabaseError:
                self._give_up()
                return []

    def _write(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        with self._lock:
            if self._db is None:
                return
            try:
                self._db.execute("begin immediate")
                self._db.executemany(sql, rows)
                self._db.execute("commit")
            except (sqlite3.OperationalError, OverflowError):  # busy, a full disk, or a number that no database holds
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("rollback")
            except sqlite3.DatabaseError:
                self._give_up()

    def _give_up(self) -> None:
        """Forget everything: the file is damaged."""
        self.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)
