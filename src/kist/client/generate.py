"""Writes what is made from other code: `kist.Client` from `kist.AsyncClient`, and `kist.AsyncRepository` from `kist.Repository`.

    PYTHONPATH=src python -m kist.client.generate [--check]

With ``--check`` nothing is written, and the exit code says whether all is as it should be.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Final, cast

__all__ = ["main", "wanted"]

HERE: Final = Path(__file__).parent
ENGINE: Final = HERE.parent / "engine" / "repository.py"
NAMES: Final = {
    "AsyncClient": "Client",
    "AsyncIterator": "Iterator",
    "AsyncRepository": "Repository",
    "AsyncTransport": "Transport",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "asynchronous": "blocking",
    "open_async": "open_served",
    "open_async_transport": "open_transport",
}
TEXTS: Final = {
    "The calls of `kist.AsyncClient` by subject, written by hand; those of `kist.Client` are made from them.": "The calls of `kist.Client` "
    "by subject, made from those of `kist.AsyncClient`.",
    ", for event loops. `kist.Client` is made from it": "",
    "an ``async with``": "a ``with``",
    "from kist.client.opening import open_async": "from kist.client.served import open_served",
    "import asyncio": "import time",
    "asyncio.sleep(": "time.sleep(",
}
"""What is replaced before the names are, as it is."""

MADE: Final = "# Made by kist.client.generate from {source}: change that, and run python -m kist.client.generate\n"
WORDS: Final = re.compile(rf"\b(?:{'|'.join(NAMES)})\b")

REPOSITORY: Final = '''
"""`kist.AsyncRepository`: everything that can be done with a repository, for event loops."""

{imports}
from kist.client.async_parts import AsyncFile, AsyncTransaction, in_batches, lending
from kist.engine.repository import Repository

__all__ = ["AsyncRepository"]


class AsyncRepository:
    """A tree of paths with a history, for event loops: the calls of `Repository`, which block, in threads.

    Who stops waiting for a call does not stop its thread: a change may be made all the same. What is told of progress, is told in threads.
    """

    def __init__(self, repository: Repository) -> None:
        """Use `AsyncClient.get_repo`, or give a repository that is open."""
        self._repository = repository

    def __repr__(self) -> str:
        """Name the place."""
        return f"Async{{self._repository!r}}"

    @property
    def blocking(self) -> Repository:
        """The same repository for threads."""
        return self._repository

    @property
    def name(self) -> str:
        """How people call it."""
        return self._repository.name

{methods}
'''


def wanted() -> dict[Path, str]:
    """Return what each file that is made should hold."""
    sources = [*sorted((HERE / "asynchronous").glob("*.py")), HERE / "async_client.py"]
    made = {
        _place(source): MADE.format(source=source.relative_to(HERE.parent.parent)) + _blocking(source.read_text()) for source in sources
    }
    made[HERE / "async_repository.py"] = MADE.format(source=ENGINE.relative_to(HERE.parent.parent)) + _asynchronous(ENGINE.read_text())
    return {path: _formatted(path, code) for path, code in made.items()}


def main() -> int:
    """Write the files, or compare them; return the exit code."""
    different = {path: code for path, code in wanted().items() if not path.exists() or path.read_text() != code}
    if "--check" in sys.argv:
        for path in different:
            sys.stderr.write(f"{path} is not what it is made from: run python -m kist.client.generate\n")
        return 1 if different else 0
    for path, code in different.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    return 0


def _place(source: Path) -> Path:
    return HERE / "client.py" if source.name == "async_client.py" else HERE / "blocking" / source.name


def _blocking(code: str) -> str:
    """Return code for threads that does what some code for event loops does."""
    for text, instead in TEXTS.items():
        code = code.replace(text, instead)
    code = re.sub(r"\basync (?=def|with|for)|\bawait ", "", code)
    return WORDS.sub(lambda name: NAMES[name[0]], code)


def _asynchronous(code: str) -> str:
    """Return the class for event loops that has the calls of a class for threads."""
    tree = ast.parse(code)
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    methods = [node for node in found.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    made = "\n".join(_method(method) for method in methods)
    used = set(re.findall(r"\w+", made)) | {"asyncio"}
    imports = "\n".join(["import asyncio", *sorted(_imports(tree, used))])
    return REPOSITORY.format(imports=imports, methods=indent(made, "    "))


def _imports(tree: ast.Module, used: set[str]) -> Iterator[str]:
    """Yield the imports of the names that are used."""
    yield "from collections.abc import AsyncIterator"
    yield "from contextlib import asynccontextmanager"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.col_offset <= 4:  # noqa: PLR2004 - not those in functions
            if names := sorted({name.name for name in node.names} & used):
                yield f"from {node.module} import {', '.join(names)}"
        elif isinstance(node, ast.Import):
            yield from (f"import {name.name}" for name in node.names if name.name in used)


def _method(method: ast.FunctionDef) -> str:
    """Return a method that has a thread do what the method of the same name does."""
    returns = ast.unparse(cast("ast.expr", method.returns)).strip("'")
    decorators = [ast.unparse(one) for one in method.decorator_list]
    text = ast.get_docstring(method) or ""
    told = indent(f'"""{text}\n"""' if "\n" in text else f'"""{text}"""', "    ")
    call = ", ".join([f"self._repository.{method.name}", *_passed(method.args)])
    called = call.replace(", ", "(", 1) + ")" if ", " in call else f"{call}()"
    head = f"def {method.name}({ast.unparse(method.args)})"
    if "property" in decorators:
        return f"@property\n{head} -> {returns}:\n{told}\n    return self._repository.{method.name}\n"
    if "contextmanager" in decorators:
        lent = re.sub(r"Iterator\[(\w+)\]", r"AsyncIterator[Async\1]", returns)
        body = f"    async with lending({called}) as lent:\n        yield AsyncTransaction(lent)\n"
        return f"@asynccontextmanager\nasync {head} -> {lent}:\n{told}\n{body}"
    if returns.startswith("Iterator["):
        return f"async {head} -> Async{returns}:\n{told}\n    async for item in in_batches({called}):\n        yield item\n"
    if returns == "io.BufferedReader":
        return f"async {head} -> AsyncFile:\n{told}\n    return AsyncFile(await asyncio.to_thread({call}))\n"
    return f"async {head} -> {returns}:\n{told}\n    return await asyncio.to_thread({call})\n"


def _passed(arguments: ast.arguments) -> Iterator[str]:
    """Yield each argument as it is passed on."""
    yield from (one.arg for one in arguments.args[1:])
    yield from (f"{one.arg}={one.arg}" for one in arguments.kwonlyargs)


def _formatted(path: Path, code: str) -> str:
    """Return code in its one form."""
    ruff = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", str(path)]
    for command in (
        ["check", "--select", "I,C416,F401,UP028", "--fix-only", "--unsafe-fixes", "--quiet", *name, "-"],
        ["format", "--quiet", *name, "-"],
    ):
        code = subprocess.run([*ruff, *command], input=code, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own tool
    return code


if __name__ == "__main__":
    sys.exit(main())
