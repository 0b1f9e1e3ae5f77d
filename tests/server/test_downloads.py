"""Getting content out."""

import gzip
import hashlib
import io
import tarfile
from urllib.parse import unquote

import httpx
import pytest
from tests.server.project import README, project, readings
from tests.server.serving import Site, serving

from kist.engine.opening import create_repository
from kist.server.downloads import byte_range, disposition
from kist.stores.memory import MemoryStore

TEXT = README.encode()


def test_a_file_arrives_whole(site: Site) -> None:
    answer = site.get("/download", path="data/readings.csv", ref="v1")
    assert answer.content == readings(4, dropouts=True)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_content_is_an_attachment_of_unknown_type(lab: Site) -> None:
    lab.repository.save("page.html", b"<script>alert(1)</script>")
    headers = lab.get("/download", path="page.html").headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment; filename=\"page.html\"; filename*=UTF-8''page.html"


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, len(TEXT)),
        ("bytes=-7", len(TEXT) - 7, len(TEXT)),
        ("bytes=3-99999", 3, len(TEXT)),
        ("bytes=-9999", 0, len(TEXT)),
    ],
)
def test_a_range_arrives_alone(site: Site, wanted: str, start: int, stop: int) -> None:
    answer = site.get("/download", {"range": wanted}, path="README.md")
    assert answer.status_code == 206
    assert answer.content == TEXT[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(TEXT)}"


@pytest.mark.parametrize("wanted", ["bytes=0-1,3-4", "lines=1-2", "bytes=9-2", "bytes=-"])
def test_a_range_that_makes_no_sense_is_ignored(site: Site, wanted: str) -> None:
    answer = site.get("/download", {"range": wanted}, path="README.md")
    assert (answer.status_code, answer.content) == (200, TEXT)


@pytest.mark.parametrize("wanted", ["bytes=102-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(site: Site, wanted: str) -> None:
    answer = site.get("/download", {"range": wanted}, path="README.md")
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(TEXT)}"


def test_a_download_goes_on_only_with_the_same_content(site: Site) -> None:
    etag = site.get("/download", path="analysis.py", ref="v2").headers["etag"]
    same = site.get("/download", {"range": "bytes=5-", "if-range": etag}, path="analysis.py", ref="v3")
    other = site.get("/download", {"range": "bytes=5-", "if-range": etag}, path="analysis.py", ref="v4")
    assert (same.status_code, other.status_code) == (206, 200)


def test_an_empty_file_can_be_downloaded(lab: Site) -> None:
    lab.repository.save("empty", b"")
    answer = lab.get("/download", path="empty")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("page", ["/download?path=README.md", "/archive"])
def test_head_has_the_headers_alone(site: Site, page: str) -> None:
    answer = site.client.head(site.base + page)
    assert answer.status_code == 200
    assert answer.content == b""
    assert "attachment" in answer.headers["content-disposition"]


def test_a_folder_arrives_as_an_archive(site: Site) -> None:
    answer = site.get("/archive", path="results", ref="v4")
    with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:gz") as archive:
        assert archive.getnames() == ["results/daily.csv", "results/plots/humidity.png", "results/plots/temperature.png"]
    assert 'filename="results-v4.tar.gz"' in answer.headers["content-disposition"]


def test_the_whole_tree_is_an_archive_too(site: Site) -> None:
    answer = site.get("/archive", ref="v1")
    with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:gz") as archive:
        assert archive.getnames() == ["kist/README.md", "kist/data/readings.csv"]
    assert 'filename="roof-station-v1.tar.gz"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("page", "path", "status"),
    [
        ("/download", "data", 400),
        ("/download", "nothing", 404),
        ("/download", "", 400),
        ("/archive", "README.md", 400),
        ("/archive", "nothing", 404),
    ],
)
def test_what_can_not_be_downloaded_is_an_error_page(site: Site, page: str, path: str, status: int) -> None:
    answer = site.get(page, path=path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


def noise(size_bytes: int, seed: str) -> bytes:
    """Return bytes that can't be compressed."""
    return hashlib.shake_128(seed.encode()).digest(size_bytes)


class Damaged(MemoryStore):
    """A store that turns a bit in each answer about packs, once it is told to, from some offset on."""

    damaged_from: int | None = None

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        data = bytearray(super().get_range(key, start=start, end=end))
        if self.damaged_from is not None and key.startswith("packs/") and data and start >= self.damaged_from:
            data[len(data) // 2] ^= 1
        return bytes(data)


def test_damaged_content_is_an_error_page() -> None:
    store = Damaged()
    repository = create_repository(store, name="/data/lab")
    repository.save("a.txt", b"content" * 1000)
    with serving(repository) as site:
        assert site.get("/files").status_code == 200
        store.damaged_from = 0
        assert site.get("/download", path="a.txt").status_code == 500
        store.damaged_from = None


def test_an_archive_that_fails_on_the_way_breaks_off() -> None:
    store = Damaged()
    repository = create_repository(store, name="/data/lab")
    block = 24 << 20
    for name in "ab":
        repository.save(name, noise(block, name))
    with serving(repository) as site:
        whole = site.get("/archive").content
        assert len(gzip.decompress(whole)) > 2 * block
        store.damaged_from = 4 << 20
        with site.client.stream("GET", f"{site.base}/archive") as answer, pytest.raises(httpx.RemoteProtocolError):
            answer.read()
        store.damaged_from = None
        assert site.get("/").status_code == 200


def test_a_download_that_is_given_up_ends() -> None:
    repository = project()
    repository.save("large", noise(48 << 20, "large"))
    with serving(repository) as site:
        for page in ("/archive", "/download?path=large"):
            with site.client.stream("GET", site.base + page) as answer:
                assert len(next(answer.iter_raw(1000))) == 1000
        assert site.get("/").status_code == 200


@pytest.mark.parametrize(
    ("name", "plain_name"),
    [
        ("a.txt", "a.txt"),
        ('a"; b\\c.txt', "a__ b_c.txt"),
        ("caf\u00e9.txt", "caf_.txt"),
        (".bashrc", "_bashrc"),
        ("a\r\nset-cookie: x", "a__set-cookie_ x"),
        ("\u202etxt.exe", "_txt.exe"),
        ("100%.csv", "100_.csv"),
    ],
)
def test_a_name_can_not_leave_its_header(name: str, plain_name: str) -> None:
    header = disposition(name)
    assert header.startswith(f"attachment; filename=\"{plain_name}\"; filename*=UTF-8''")
    assert header.isascii()
    assert header.isprintable()
    assert unquote(header.partition("''")[2]) == name.replace("\r", "_").replace("\n", "_").replace("\u202e", "_")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=1-2", (1, 3)),
        ("bytes = 1 - 2", (1, 3)),
        ("bytes=-3", (7, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_ranges_are_read_as_the_rfc_says(header: str, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == expected
