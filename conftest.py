"""What all tests share: examples in the documentation run, and no test is skipped unseen.

Every Python block of ``README.md`` and ``docs/`` runs, in the order of its page, in a folder of its own.
``KIST_ABSENT`` lists the components (comma-separated) that a machine is known to lack. Where it is set, even to nothing,
a test that is skipped for any other reason has failed.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

from kist.stores.mounts import mounts, unmount


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """The working directory of a page's examples: new and empty. What they mount ends with them."""
    folder = tmp_path_factory.mktemp("page")
    before = mounts().keys()
    with pytest.MonkeyPatch.context() as environment:
        environment.chdir(folder)
        environment.setenv("KIST_HOME", str(tmp_path_factory.mktemp("home")))
        yield folder
    for name in mounts().keys() - before:
        unmount(name)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    fixtures=["page_folder"],
).pytest()


def _fail_if_unexpected(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure, unless its reason names a component that is known to be absent."""
    absent = os.environ.get("KIST_ABSENT")
    if absent is None or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if not any(name.strip().lower() in reason.lower() for name in absent.split(",") if name.strip()):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """See each test's report."""
    report = yield
    _fail_if_unexpected(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """See each module's report: a whole module can be skipped too."""
    report = yield
    _fail_if_unexpected(report)
    return report
