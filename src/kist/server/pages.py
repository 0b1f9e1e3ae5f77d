"""The pages: versions, files and folders, changes. Each asks the repository for one screenful and renders it."""

import codecs
import csv
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from kist.engine.repository import Repository
from kist.errors import InvalidInput, NotFound
from kist.ids import parse_ref
from kist.models import Difference, Info, Version
from kist.server.lines import compare_lines
from kist.server.render import Templates

__all__ = ["Pages"]

VERSIONS = 50
ROWS = 500
LINES = 2000
COLUMNS = 30
PREVIEW_BYTES = 64 << 10
TEXT_BYTES = 512 << 10
IMAGE_BYTES = 32 << 20
IMAGES = (".gif", ".jpeg", ".jpg", ".png", ".webp")
TABLES = {".csv": ",", ".tsv": "\t"}


class Pages:
    """The endpoints. They block, so Starlette runs them in its thread pool."""

    def __init__(self, repository: Repository, templates: Templates) -> None:
        """Take the repository, and what renders."""
        self._repository, self._templates = repository, templates

    def versions(self, request: Request) -> Response:
        """List versions, newest first: all, or those that changed a path; of a branch, or up to a ref; `before` goes on after a page.

        Raises:
            KistError: what the repository raises.
        """
        query = request.query_params
        path, ref, before = query.get("path", ""), query.get("ref", ""), query.get("before", "")
        found = self._repository.log(path, ref=before or ref or None, limit=VERSIONS + 2)
        if before and found and before == self._name(found[0]):
            del found[0]
        named = [(self._name(version), version) for version in found[:VERSIONS]]
        tags: dict[str, list[str]] = {}
        for name, version in self._repository.tags().items():
            tags.setdefault(version.id, []).append(name)
        return self._templates.page(
            "versions.html",
            versions=named,
            older=named[-1][0] if len(found) > VERSIONS else "",
            newest=not before,
            path=path,
            crumbs=crumbs(path),
            ref=ref or "main",
            branches=sorted(self._repository.branches(), key=lambda name: (name != "main", name)),
            tags=tags,
        )

    def files(self, request: Request) -> Response:
        """Show what a version has at a path: a folder's content, from behind the name `after`, or a file.

        Raises:
            KistError: what the repository raises.
        """
        query = request.query_params
        path, ref, after = query.get("path", ""), query.get("ref", "main"), query.get("after", "")
        info = self._repository.stat(path, ref=ref)
        common = {"path": path, "ref": ref, "info": info, "crumbs": crumbs(path), "version": self._version(ref), "line": line_of(ref)}
        if info.kind != "folder":
            return self._templates.page("file.html", **common, **self._preview(info, ref))
        found = self._repository.tree(path, ref=ref, after=after, limit=ROWS + 1)
        more = len(found) > ROWS
        found = found[:ROWS]
        if not more and not after:
            found.sort(key=lambda one: one.kind != "folder")
        return self._templates.page("folder.html", **common, found=found, after=after, more=found[-1].name if more else "")

    def changes(self, request: Request) -> Response:
        """Compare two versions, `b` with `a`: a table of the paths that differ, or what differs in one file. Without `a`: what `b` changed.

        Raises:
            KistError: what the repository raises.
        """
        query = request.query_params
        path, b, page = query.get("path", ""), query.get("b", "main"), query.get("page", "1")
        if not (page.isascii() and page.isdigit() and len(page) < 10 and int(page) > 0):  # noqa: PLR2004 - digits of a sane number
            raise InvalidInput(f"page {page!r}: give a number from 1 on")
        a = query.get("a") or self._before(b)
        found = self._repository.diff(a, b, path)
        one = found[0] if len(found) == 1 and found[0].path == path and found[0].kind == "file" else None
        start = (int(page) - 1) * ROWS
        return self._templates.page(
            "changes.html",
            a=a,
            b=b,
            old=self._repository.version(a),
            new=self._repository.version(b),
            path=path,
            crumbs=crumbs(path),
            found=found[start : start + ROWS],
            total=len(found),
            counts={change: sum(one.change == change for one in found) for change in ("added", "modified", "removed")},
            grown=sum((one.new_size or 0) - (one.old_size or 0) for one in found),
            page=int(page),
            pages=-(-len(found) // ROWS),
            one=one,
            **self._detail(one, a, b),
        )

    def _name(self, version: Version) -> str:
        """Return a ref that means this version whatever comes: its number where that is cheap to find and unique, else its id."""
        return version.name if self._repository.authority == "create" and version.branch == "main" else version.id

    def _version(self, ref: str) -> Version | None:
        """Return what a ref means, None in a repository without versions."""
        try:
            return self._repository.version(ref)
        except NotFound:
            if self._repository.log(limit=1):
                raise
            return None

    def _before(self, ref: str) -> str:
        """Return a ref of the version before another one.

        Raises:
            NotFound: there is none.
        """
        found = self._repository.log(ref=ref, limit=2)
        if not found:
            raise NotFound("nothing is saved yet")
        if len(found) == 1:
            raise NotFound(f"{ref} is the first version: there is none before it to compare it with")
        return self._name(found[1])

    def _preview(self, info: Info, ref: str) -> dict[str, object]:
        """Return what can be shown of a file: an image, or the start of a text, as a table if it is one."""
        image = is_image(info.path) and info.size <= IMAGE_BYTES
        text = None if info.kind != "file" or image else self._text(info.path, ref, limit=PREVIEW_BYTES, cut=True)
        lines = None if text is None else lines_of(text)
        whole = info.size <= PREVIEW_BYTES and len(lines or ()) <= LINES
        return {"image": image, "lines": lines and lines[:LINES], "whole": whole, "table": lines and rows_of(info.path, lines)}

    def _text(self, path: str, ref: str, *, limit: int, cut: bool = False) -> str | None:
        """Return a file as text; None if it is none, or longer than `limit` bytes (if it may be `cut`, its first whole lines then)."""
        with self._repository.open(path, ref=ref) as file:
            data = file.read(limit + 1)
        longer = len(data) > limit
        if b"\0" in data or (longer and not cut):
            return None
        try:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(data[:limit], final=not longer)
        except UnicodeDecodeError:
            return None
        return text[: text.rfind("\n") + 1] or text if longer else text

    def _detail(self, one: Difference | None, a: str, b: str) -> dict[str, object]:
        """Return how one file differs: images, or lines (None where neither makes sense; `more` counts those left out)."""
        none: dict[str, object] = {"image": False, "lines": None, "more": 0}
        if one is None:
            return none
        if is_image(one.path):
            return none | {"image": max(one.old_size or 0, one.new_size or 0) <= IMAGE_BYTES}
        texts = [self._side(one.path, size, ref) for size, ref in ((one.old_size, a), (one.new_size, b))]
        if texts[0] is None or texts[1] is None:
            return none
        lines = compare_lines(lines_of(texts[0]), lines_of(texts[1]))
        return none | {"lines": lines[:LINES], "more": max(0, len(lines) - LINES)}

    def _side(self, path: str, size_bytes: int | None, ref: str) -> str | None:
        if size_bytes is None:
            return ""
        if size_bytes > TEXT_BYTES:
            return None
        try:
            return self._text(path, ref, limit=TEXT_BYTES)
        except InvalidInput:  # it was a folder or a link then
            return None


def crumbs(path: str) -> list[tuple[str, str]]:
    """Return name and path of each folder on the way to a path, and of itself."""
    names = path.split("/") if path else []
    return [(name, "/".join(names[: depth + 1])) for depth, name in enumerate(names)]


def is_image(path: str) -> bool:
    """Say whether browsers show such a file as a picture that runs no code."""
    return path.lower().endswith(IMAGES)


def line_of(ref: str) -> str:
    """Return the branch that a numbered version is on, so that its history shows newer versions too; any other ref itself."""
    parsed = parse_ref(ref)
    return parsed.branch if parsed.kind in {"number", "as-of"} else ref


def lines_of(text: str) -> list[str]:
    """Return the lines of a text; a newline ends each, the last one too."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def rows_of(path: str, lines: list[str]) -> list[list[str]] | None:
    """Return the first rows of a table of text, its header first; None if it is none."""
    delimiter = next((delimiter for suffix, delimiter in TABLES.items() if path.lower().endswith(suffix)), None)
    if delimiter is None:
        return None
    try:
        rows = [row[:COLUMNS] for row in islice(csv.reader(lines, delimiter=delimiter), ROWS) if row]
    except csv.Error:
        return None
    return rows if len(rows) > 1 and len({len(row) for row in rows}) == 1 else None
