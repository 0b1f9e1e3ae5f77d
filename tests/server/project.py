"""A small analysis project that grew over some weeks: the data behind tests and pictures of the web site. Always the same, times too."""

import functools
import json
import math
import struct
import zlib
from datetime import UTC, datetime

from kist.engine.clock import SystemClock
from kist.engine.opening import create_repository
from kist.engine.repository import Repository
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store

ANALYSIS = '''"""Daily means of the weather station on the roof."""

import pandas as pd


def daily(readings: pd.DataFrame) -> pd.DataFrame:
    readings = readings.dropna()
    return readings.resample("D", on="time").mean()


if __name__ == "__main__":
    data = pd.read_csv("data/readings.csv", parse_dates=["time"])
    daily(data).to_csv("results/daily.csv")
'''
CLEANED = ANALYSIS.replace(
    "    readings = readings.dropna()\n",
    '''    """Average what is left once the sensor's dropouts (-99.9) are gone."""
    readings = readings[readings.temperature > -90].dropna()
''',
)
README = "# Roof station\n\nReadings every 30 minutes since October; `analysis.py` makes `results/` from `data/`.\n"


class CalendarClock(SystemClock):
    """The engine's clock, at the time that a version should have."""

    def __init__(self) -> None:
        self.time = datetime(2026, 10, 5, 9, 12, tzinfo=UTC)

    def now(self) -> int:
        return int(self.time.timestamp() * 1e6)


def readings(days: int, *, dropouts: bool) -> bytes:
    """Return a table of half-hourly readings."""
    rows = ["time,temperature,humidity,pressure"]
    for step in range(days * 48):
        day, slot = divmod(step, 48)
        temperature = 11 + 6 * math.sin((slot - 16) / 48 * math.tau) - day * 0.12 + 0.4 * math.sin(step * 1.7)
        if dropouts and step % 97 == 11:
            temperature = -99.9
        humidity, pressure = 70 - 2 * temperature / 3, 1013 + 4 * math.sin(step / 210)
        time = f"2026-10-{day + 1:02d} {slot // 2:02d}:{slot % 2 * 30:02d}"
        rows.append(f"{time},{temperature:.1f},{min(humidity, 100):.0f},{pressure:.1f}")
    return ("\n".join(rows) + "\n").encode()


def daily(days: int) -> bytes:
    """Return a table of daily means."""
    rows = [f"2026-10-{day + 1:02d},{11 - day * 0.12 + math.sin(day) * 0.8:.2f},{63 + day * 0.3:.1f}" for day in range(days)]
    return ("\n".join(["day,temperature,humidity", *rows]) + "\n").encode()


@functools.cache
def plot(days: int, *, width: int = 640, height: int = 300) -> bytes:
    """Return a PNG of the readings, with smooth lines."""
    pixels = bytearray(b"\xff" * (width * height * 3))

    def blend(x: int, y: int, colour: tuple[int, int, int], amount: float) -> None:
        if 0 <= x < width and 0 <= y < height and amount > 0:
            at = (y * width + x) * 3
            for channel in range(3):
                pixels[at + channel] = round(pixels[at + channel] * (1 - amount) + colour[channel] * amount)

    for y in range(30, height - 20, 50):
        for x in range(20, width - 20):
            blend(x, y, (225, 225, 225), 1)
    for colour, level, swing in (((31, 119, 180), 0.42, 0.2), ((214, 98, 40), 0.7, 0.07)):
        for x in range(20, width - 20):
            phase = (x - 20) / (width - 40) * days
            middle = height * (level - swing * math.sin(phase * math.tau) * (0.75 + 0.25 * math.sin(phase * 0.9)) + phase * 0.004)
            slope = swing * height * math.tau * days / (width - 40)
            reach = 1.4 + abs(slope * math.cos(phase * math.tau)) / 2
            for row in range(int(middle - reach) - 1, int(middle + reach) + 3):
                blend(x, row, colour, min(1, reach + 0.5 - abs(row - middle)))
    rows = b"".join(b"\0" + pixels[row * width * 3 : (row + 1) * width * 3] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(*one) for one in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))


def notebook(days: int) -> bytes:
    """Return a notebook of two cells."""
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# A first look\n", f"{days} days of readings."]},
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "outputs": [],
            "source": ["from analysis import daily\n", "daily(data).plot()"],
        },
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1).encode()


def project(name: str = "/data/roof-station", store: Store | None = None) -> Repository:
    """Return the project, in memory unless a store is given: five versions, two tags and a branch."""
    clock = CalendarClock()
    repository = create_repository(store or MemoryStore(), name=name, clock=clock)

    def save(day: int, hour: int, author: str, message: str, files: dict[str, bytes]) -> None:
        clock.time = datetime(2026, 10, day, hour, (day * 7 + hour) % 60, tzinfo=UTC)
        with repository.transaction(message, author=author) as change:
            for path, content in files.items():
                change.put(path, content)

    save(5, 9, "mara", "Readings of the first four days", {"README.md": README.encode(), "data/readings.csv": readings(4, dropouts=True)})
    save(9, 14, "mara", "Daily means and a first plot", {
        "analysis.py": ANALYSIS.encode(), "explore.ipynb": notebook(4), "results/daily.csv": daily(4),
        "results/plots/temperature.png": plot(4),
    })  # fmt: skip
    repository.tag("first-look")
    save(
        16, 10, "jonas", "Another week from the station", {"data/readings.csv": readings(11, dropouts=True), "explore.ipynb": notebook(11)}
    )
    save(20, 16, "mara", "Leave out the sensor's dropouts\n\nIt writes -99.9 when it loses power; the means of five days were wrong.", {
        "analysis.py": CLEANED.encode(), "data/readings.csv": readings(11, dropouts=False), "results/daily.csv": daily(11),
        "results/plots/temperature.png": plot(11), "results/plots/humidity.png": plot(7),
        "data/station.json": b'{"sensor": "BME280", "height_m": 23.5}\n',
    })  # fmt: skip
    save(27, 11, "jonas", "Readings up to the 18th, and the plots of the report", {
        "data/readings.csv": readings(18, dropouts=False), "results/daily.csv": daily(18),
        "results/plots/temperature.png": plot(18), "results/report.md": b"# October\n\nThe coldest night was that of the 17th.\n",
    })  # fmt: skip
    repository.tag("report-october")
    repository.branch("calibration", "v4")
    return repository


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
