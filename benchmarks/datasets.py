"""What is saved: folders made from seeds, each with a small change that can be made and taken back.

A changed file lies beside its folder and takes its place by a rename, as when an editor saves: the rest of the folder is not touched.
Files are written as streams, so that the benchmark itself stays small.
"""

import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import folder_bytes

__all__ = ["DATASETS", "EMPTY", "Dataset", "Options"]

MIB = 1 << 20
EMPTY = "empty"
ROWS_PER_BLOCK = 18_000
FILE_BYTES = 4096
FILES_PER_FOLDER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes are divided by `scale`; `packages` is the folder to copy for the data set ``site-packages``."""

    scale: int
    packages: Path


@dataclass(slots=True)
class Dataset:
    """A folder `data` in two versions, of which it shows one at a time."""

    root: Path
    changed: list[str] = field(default_factory=list)
    version: int = 1

    @property
    def project(self) -> Path:
        """The folder that holds `data` and nothing else, but for what a tool puts there."""
        return self.root / "project"

    @property
    def data(self) -> Path:
        """The folder that is saved."""
        return self.project / "data"

    def parked(self, version: int) -> Path:
        """Return where the files that differ lie while that version isn't shown."""
        return self.root / f"version-{version}"

    def show(self, version: int) -> None:
        """Make `data` that version, 1 or 2."""
        if version == self.version:
            return
        for path in self.changed:
            for source, target in ((self.data, self.parked(self.version)), (self.parked(version), self.data)):
                if (source / path).exists():
                    (target / path).parent.mkdir(parents=True, exist_ok=True)
                    (source / path).rename(target / path)
        self.version = version

    def write(self, path: str, blocks: Iterator[bytes], *, second: Callable[[int, bytes], bytes] | None = None) -> None:
        """Write a file; `second` makes of each block, given its number, that of version 2."""
        targets = [self.data / path] if second is None else [self.data / path, self.parked(2) / path]
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        files = [target.open("wb") for target in targets]
        for number, block in enumerate(blocks):
            files[0].write(block)
            if second is not None:
                files[1].write(second(number, block))
        for file in files:
            file.close()
        if second is not None:
            self.changed.append(path)

    def add(self, path: str, content: bytes) -> None:
        """Add a file that only version 2 has."""
        self.parked(2).mkdir(parents=True, exist_ok=True)
        (self.parked(2) / path).write_bytes(content)
        self.changed.append(path)


def make_empty(dataset: Dataset, _: Options) -> str:
    """Nothing: what a tool takes for being started."""
    dataset.data.mkdir(parents=True)
    return "an empty folder"


def make_random(dataset: Dataset, options: Options) -> str:
    """Incompressible bytes; then 1 KiB is inserted in the middle."""
    source, blocks = random.Random("random"), 1024 // options.scale
    inserted = random.Random("inserted").randbytes(1024)
    dataset.write(
        "random.bin",
        (source.randbytes(MIB) for _ in range(blocks)),
        second=lambda number, block: block[: MIB // 2] + inserted + block[MIB // 2 :] if number == blocks // 2 else block,
    )
    return f"one file of {blocks} MiB of random bytes; change: 1 KiB inserted in the middle"


def make_csv(dataset: Dataset, options: Options) -> str:
    """Rows of measurements; then one value in the middle is edited."""
    source, blocks = random.Random("csv"), 1024 // options.scale
    dataset.write(
        "measurements.csv",
        (csv_rows(source, number * ROWS_PER_BLOCK) for number in range(blocks)),
        second=lambda number, block: block.replace(b"station", b"corrected-station", 1) if number == blocks // 2 else block,
    )
    size = (dataset.data / "measurements.csv").stat().st_size
    return f"one CSV file of {size / MIB:.0f} MiB; change: one value edited in the middle"


def csv_rows(source: random.Random, first: int) -> bytes:
    """Return about 1 MiB of rows: number, time, station, temperature, humidity, voltage, state."""
    values: list[object] = []
    base = 15 + 8 * source.random()
    for row in range(first, first + ROWS_PER_BLOCK):
        draw = source.getrandbits(40)
        values += (row, row // 3600 % 24, row // 60 % 60, row % 60, row % 12, base + (draw & 255) / 300)
        values += (40 + (draw >> 8 & 127) / 10, 3.2 + (draw >> 16 & 1023) / 7000, "ok" if draw >> 34 else "low")
    return ("%d,2026-03-01T%02d:%02d:%02dZ,station-%02d,%.2f,%.1f,%.4f,%s\n" * ROWS_PER_BLOCK % tuple(values)).encode()


def make_files(dataset: Dataset, options: Options) -> str:
    """Many small texts in folders; then one is edited and one added."""
    source, count = random.Random("files"), 20_000 // options.scale
    words = ["".join(source.choices("abcdefghilmnoprstuv", k=source.randint(2, 10))) for _ in range(4000)]
    # As in a language, a word is the rarer the further down the list.
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for number in range(count):
        text = " ".join(source.choices(words, cum_weights=weights, k=1000)).encode()[:FILE_BYTES]
        path = f"{number // FILES_PER_FOLDER:03}/{number:05}.txt"
        dataset.write(path, iter([text]), second=one_more_line if number == count // 2 else None)
    dataset.add("added.txt", b"a new file\n")
    return f"{count} text files of {FILE_BYTES} bytes in folders of {FILES_PER_FOLDER}; change: one edited, one added"


def make_packages(dataset: Dataset, options: Options) -> str:
    """A copy of an environment's packages; then one module is edited and one added."""
    dataset.data.mkdir(parents=True)
    for entry in sorted(options.packages.iterdir())[:: options.scale]:
        if entry.is_dir():
            shutil.copytree(entry, dataset.data / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, dataset.data, follow_symlinks=False)
    modules = sorted(dataset.data.rglob("*.py"))
    chosen = modules[len(modules) // 2]
    dataset.write(str(chosen.relative_to(dataset.data)), iter([chosen.read_bytes()]), second=one_more_line)
    dataset.add("added.py", b"NEW = True\n")
    count = sum(len(names) for _, _, names in dataset.data.walk())
    return f"an environment's {count} files of packages, {folder_bytes(dataset.data) / MIB:.0f} MiB; change: one edited, one added"


def one_more_line(_: int, block: bytes) -> bytes:
    """Return a text with a line more."""
    return block + b"\n# a line more\n"


DATASETS: dict[str, Callable[[Dataset, Options], str]] = {
    EMPTY: make_empty,
    "random": make_random,
    "csv": make_csv,
    "files": make_files,
    "site-packages": make_packages,
}
