"""What a repository holds, in a form that compares: no ids, no times, only what was saved."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from kist.engine.repository import Repository
from kist.errors import NotFound
from kist.models import Info, Version

Tree = dict[str, str]
"""What is at each path: ``file`` and the hash of its bytes, ``link`` and its target, or ``folder``."""


def content(data: bytes) -> str:
    """Return how a tree shows a file with these bytes."""
    return f"file {hashlib.sha256(data).hexdigest()}"


def tree_of(repo: Repository, ref: str | None = None) -> Tree:
    """Return all that a version holds; every byte of it is read."""

    def shown(info: Info) -> str:
        if info.kind == "file":
            return content(repo.read(info.path, ref=ref))
        return f"link {info.target}" if info.kind == "link" else info.kind

    return {info.path: shown(info) for info in repo.walk(ref=ref)}


def tree_on_disk(folder: Path) -> Tree:
    """Return what a folder of this machine holds, in the same form."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link {path.readlink()}"
        else:
            found[name] = "folder" if path.is_dir() else content(path.read_bytes())
    return found


def without_folders(tree: Tree) -> Tree:
    """Return the files and links of a tree."""
    return {path: what for path, what in tree.items() if what != "folder"}


@dataclass
class Form:
    """All versions of all branches, newest first (None: forgotten), and what the tags mean."""

    branches: dict[str, list[Tree | None]] = field(default_factory=dict)
    tags: dict[str, Tree | None] = field(default_factory=dict)


def form_of(repo: Repository, known: dict[str, Tree] | None = None) -> Form:
    """Read everything that a repository holds, but the versions that are `known` by their ids."""
    trees = {} if known is None else known

    def read(version: Version) -> Tree | None:
        if version.forgotten:
            return None
        if version.id not in trees:
            trees[version.id] = tree_of(repo, version.name)
        return trees[version.id]

    form = Form()
    for branch in repo.branches():
        form.branches[branch] = [read(version) for version in repo.log(branch=branch)]
    for tag, version in repo.tags().items():
        try:
            form.tags[tag] = read(version)
        except NotFound:
            form.tags[tag] = None
    return form


def unlike(found: Form, wanted: Form) -> str:
    """Say in a line how one form differs from another; nothing if it does not."""
    if found.branches.keys() != wanted.branches.keys() or found.tags.keys() != wanted.tags.keys():
        names = [(sorted(form.branches), sorted(form.tags)) for form in (found, wanted)]
        return f"branches and tags are {names[0]} instead of {names[1]}"
    for branch, versions in wanted.branches.items():
        if len(versions) != len(found.branches[branch]):
            return f"{branch} has {len(found.branches[branch])} versions instead of {len(versions)}"
        for number, (tree, other) in enumerate(zip(reversed(versions), reversed(found.branches[branch]), strict=True), 1):
            if tree != other:
                return f"{branch} number {number} holds {other} instead of {tree}"
    return next(
        (f"tag {tag} means {found.tags[tag]} instead of {tree}" for tag, tree in wanted.tags.items() if tree != found.tags[tag]), ""
    )
