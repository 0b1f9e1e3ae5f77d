"""What the pages show."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from tests.server.serving import Site

from kist.server.pages import COLUMNS, ROWS, VERSIONS

HOSTILE = [
    "100%.csv",
    "a%2Fb",
    "a?b=c&d#e",
    "with space ",
    "new\nline",
    "tab\tbell\x07",
    "<script>alert(1)<\u2215script>",
    "\"quotes'",
    "\u202egnp.exe",
    "caf\u00e9 \U0001f600",
    "a+b",
    "back\\slash",
    "%2e%2e",
    "...",
    "{{ 7 * 7 }}",
]


def hrefs(text: str) -> list[str]:
    """Return where the links of a page lead."""
    return [unescape(href) for href in re.findall(r'href="([^"]*)"', text)]


def test_versions_are_listed_newest_first(site: Site) -> None:
    text = site.get("/").text
    assert re.findall(r">(v\d)</a>", text) == ["v5", "v4", "v3", "v2", "v1"]


def test_a_version_shows_who_when_why_and_its_tag(site: Site) -> None:
    row = site.get("/").text.split("<tr>")[2]
    assert "Readings up to the 18th, and the plots of the report" in row
    assert "jonas" in row
    local = datetime(2026, 10, 27, 11, 20, tzinfo=UTC).astimezone()
    assert f"{local:%Y-%m-%d %H:%M}" in row
    assert "report-october" in row


def test_a_branch_has_its_own_versions(site: Site) -> None:
    text = site.get("/", ref="calibration").text
    assert re.findall(r">(v\d)</a>", text) == ["v4", "v3", "v2", "v1"]


@pytest.mark.parametrize("ref", ["calibration", "first-look", "v3", "as-of:2026-10-17"])
def test_every_version_up_to_a_ref_can_be_opened(site: Site, ref: str) -> None:
    found = [href for href in hrefs(site.get("/", ref=ref).text) if href.startswith((f"{site.base}/files?", f"{site.base}/changes?"))]
    assert len(found) >= 3
    assert {site.client.get(href).status_code for href in found} == {200}


def test_the_history_of_a_path_has_the_versions_that_changed_it(site: Site) -> None:
    text = site.get("/", path="analysis.py").text
    assert re.findall(r">(v\d)</a>", text) == ["v4", "v2"]


def test_many_versions_come_in_pages(lab: Site) -> None:
    for number in range(VERSIONS + 2):
        lab.repository.save("a.txt", str(number).encode())
    first = lab.get("/").text
    older = next(href for href in hrefs(first) if "before=" in href)
    second = lab.client.get(older).text
    assert re.findall(r">(v\d+)</a>", first) == [f"v{number}" for number in range(VERSIONS + 2, 2, -1)]
    assert re.findall(r">(v\d+)</a>", second) == ["v2", "v1"]
    assert "before=" not in second


def test_two_versions_of_a_path_are_compared_by_a_form(site: Site) -> None:
    text = site.get("/", path="results/daily.csv").text
    assert '<form action="/-/roof-station/changes">' in text
    assert '<input type="hidden" name="path" value="results/daily.csv">' in text
    assert re.findall(r'name="([ab])" value="(v\d)"[^>]* checked', text) == [("b", "v5"), ("a", "v4")]


def test_an_empty_repository_says_how_to_begin(lab: Site) -> None:
    assert "kist save" in lab.get("/").text
    assert "Nothing is saved yet" in lab.get("/files").text
    assert lab.get("/changes").status_code == 404


def test_a_forgotten_version_is_marked(lab: Site) -> None:
    lab.repository.save("a.txt", b"1")
    lab.repository.save("a.txt", b"2")
    lab.repository.forget(["v1"], imsure=True)
    assert "forgotten" in lab.get("/").text
    assert lab.get("/files", ref="v1").status_code == 404


def test_a_folder_shows_folders_first(site: Site) -> None:
    names = re.findall(r'<bdi class="name">([^<]*)</bdi></a>', site.get("/files").text)
    assert names == ["data", "results", "README.md", "analysis.py", "explore.ipynb"]


def test_a_folder_can_be_seen_as_it_was(site: Site) -> None:
    text = site.get("/files", ref="first-look", path="results").text
    assert "daily.csv" in text
    assert "report.md" not in text


def test_a_huge_folder_comes_in_pages(lab: Site) -> None:
    with lab.repository.transaction("many") as change:
        for number in range(ROWS + 3):
            change.put(f"many/{number:05d}.txt", b"x")
    first = lab.get("/files", path="many").text
    second = lab.client.get(next(href for href in hrefs(first) if "after=" in href)).text
    assert first.count("<tr>") == ROWS + 1
    assert re.findall(r"(\d{5}\.txt)</bdi></a>", second) == [f"{number:05d}.txt" for number in range(ROWS, ROWS + 3)]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_listed_opened_and_downloaded(lab: Site, name: str) -> None:
    path = f"in {name}/{name}"
    lab.repository.save(path, name.encode())
    listing = lab.get("/files", path=f"in {name}").text
    link = next(href for href in hrefs(listing) if href.startswith(f"{lab.base}/files?path=in") and "/" in href.partition("=")[2])
    page = lab.client.get(link)
    download = next(href for href in hrefs(page.text) if href.startswith(f"{lab.base}/download?"))
    assert page.status_code == 200
    assert lab.client.get(download).content == name.encode()


@pytest.mark.parametrize("page", ["/", "/files", "/changes"])
def test_nothing_of_a_repository_becomes_markup(lab: Site, page: str) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m"
    lab.repository.save("a.txt", b"1", message=evil, author=evil)
    lab.repository.save(evil.replace("/", "\u2215"), evil.encode(), message=evil, author=evil, labels=[evil], tags={evil: evil})
    for parameters in ({}, {"path": evil.replace("/", "\u2215")}):
        answer = lab.get(page, **parameters)
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "<img src=x" not in answer.text
        assert "\x1b" not in answer.text


def test_an_error_page_escapes_what_it_names(site: Site) -> None:
    answer = site.get("/files", path="<script>alert(1)<script>")
    assert answer.status_code == 404
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"path": "nothing"}, 404),
        ({"ref": "nothing"}, 404),
        ({"ref": "v9"}, 404),
        ({"path": "../up"}, 400),
        ({"path": "/etc/passwd"}, 400),
        ({"ref": "a b"}, 400),
        ({"path": "\0"}, 400),
    ],
)
def test_what_is_not_there_is_said_so(site: Site, parameters: dict[str, str], status: int) -> None:
    answer = site.get("/files", **parameters)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_a_text_is_shown(site: Site) -> None:
    text = site.get("/files", path="analysis.py", ref="v2").text
    assert "<li>    readings = readings.dropna()</li>" in text


def test_a_table_is_shown_as_one(site: Site) -> None:
    text = site.get("/files", path="results/daily.csv", ref="v2").text
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', text) == ["day", "temperature", "humidity"]


def test_a_ragged_table_is_shown_as_text(lab: Site) -> None:
    lab.repository.save("a.csv", b"a,b\n1\n")
    assert '<ol class="source">' in lab.get("/files", path="a.csv").text


def test_a_wide_table_is_cut(lab: Site) -> None:
    lab.repository.save("a.csv", b"\n".join([b",".join([b"7"] * 1000)] * 3))
    assert lab.get("/files", path="a.csv").text.count(">7<") == 3 * COLUMNS


def test_of_a_long_text_the_start_is_shown(lab: Site) -> None:
    lab.repository.save("a.txt", "\n".join(f"line {number} \u00e9" for number in range(100_000)).encode())
    text = lab.get("/files", path="a.txt").text
    assert "<li>line 0 \u00e9</li>" in text
    assert "This is its start" in text
    assert len(text) < 200_000


def test_one_long_line_is_cut_inside_a_character(lab: Site) -> None:
    lab.repository.save("a.txt", b"a" + "\u00e9".encode() * 100_000)
    assert "a\u00e9\u00e9\u00e9" in lab.get("/files", path="a.txt").text


@pytest.mark.parametrize("content", [b"\x00\x01", b"\xff\xfe\xfd", b"text and \0"])
def test_what_is_no_text_has_no_preview(lab: Site, content: bytes) -> None:
    lab.repository.save("a.bin", content)
    assert "No preview" in lab.get("/files", path="a.bin").text


def test_a_link_shows_where_it_points(lab: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("linked")
    (folder / "link").symlink_to("../some<where>")
    lab.repository.save("", folder)
    assert "../some&lt;where&gt;" in lab.get("/files", path="link").text
    assert lab.get("/download", path="link").status_code == 400


def test_changes_list_what_was_added_and_modified(site: Site) -> None:
    text = site.get("/changes", b="v4").text
    rows = re.findall(r'class="change (\w+)">.*?<bdi class="name">([^<]*)</bdi>', text.partition("<tbody>")[2], re.DOTALL)
    assert rows == [
        ("modified", "analysis.py"),
        ("modified", "data/readings.csv"),
        ("added", "data/station.json"),
        ("modified", "results/daily.csv"),
        ("added", "results/plots/humidity.png"),
        ("modified", "results/plots/temperature.png"),
    ]


def test_changes_can_go_back_in_time(site: Site) -> None:
    text = site.get("/changes", a="v5", b="v1").text
    assert "7 removed" in re.sub("<[^>]*>", "", text)


def test_changes_of_a_text_are_its_lines(site: Site) -> None:
    text = site.get("/changes", b="v4", path="analysis.py").text
    assert re.findall(r'<tr class="(removed|added)">.*?class="text">([^<]*)<', text) == [
        ("removed", "    readings = readings.dropna()"),
        ("added", "    &#34;&#34;&#34;Average what is left once the sensor&#39;s dropouts (-99.9) are gone.&#34;&#34;&#34;"),
        ("added", "    readings = readings[readings.temperature &gt; -90].dropna()"),
    ]


def test_changes_of_an_image_are_both(site: Site) -> None:
    text = site.get("/changes", b="v4", path="results/plots/temperature.png").text
    images = [unescape(source) for source in re.findall(r'<img src="([^"]*)" alt="results', text)]
    assert [site.client.get(image).content[:4] for image in images] == [b"\x89PNG", b"\x89PNG"]


def test_changes_of_a_binary_file_are_not_shown(lab: Site) -> None:
    lab.repository.save("a.bin", b"\x00")
    lab.repository.save("a.bin", b"\x01")
    assert "download both" in lab.get("/changes", path="a.bin").text


def test_a_link_that_became_a_file_is_a_change(lab: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("changing")
    (folder / "a.txt").symlink_to("b.txt")
    lab.repository.save("", folder)
    lab.repository.save("a.txt", b"text")
    assert lab.get("/changes", path="a.txt").status_code == 200


def test_labels_alone_are_a_change_too(lab: Site) -> None:
    lab.repository.save("a.txt", b"a")
    lab.repository.save("a.txt", b"a", labels=["raw"])
    assert "The content is the same" in lab.get("/changes", path="a.txt").text


def test_a_version_does_not_differ_from_itself(site: Site) -> None:
    assert "No difference" in site.get("/changes", a="v3", b="v3").text


def test_the_first_version_has_none_before_it(site: Site) -> None:
    answer = site.get("/changes", b="v1")
    assert answer.status_code == 404
    assert "is the first version" in answer.text


def test_many_changes_come_in_pages(lab: Site) -> None:
    lab.repository.save("a.txt", b"a")
    with lab.repository.transaction("many") as change:
        for number in range(ROWS + 3):
            change.put(f"many/{number:05d}.txt", b"x")
    first = lab.get("/changes").text
    second = lab.client.get(next(href for href in hrefs(first) if "page=2" in href)).text
    assert f"{ROWS + 3:,} added" in re.sub("<[^>]*>", "", first)
    assert second.partition("<tbody>")[2].count("<tr>") == 3


@pytest.mark.parametrize("page", ["0", "-1", "x", "\u00b2", "9" * 5000])
def test_a_page_is_a_number(site: Site, page: str) -> None:
    assert site.get("/changes", page=page).status_code == 400
