"""Opening a store by URL."""

import subprocess
import sys
from pathlib import Path

import pytest

from kist.errors import InvalidInput, NotFound
from kist.stores.local import LocalStore
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store
from kist.stores.urls import open_store, register, scheme_of, schemes


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}", "FILE://{}", "file://localhost{}"])
def test_a_folder_has_many_names(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path))
    assert isinstance(store, LocalStore)
    assert store.root == str(tmp_path)


def test_a_path_object_is_a_folder(tmp_path: Path) -> None:
    assert isinstance(open_store(tmp_path / "new", create=True), LocalStore)


def test_a_missing_folder_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_store(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("/data", "file"),
        ("data", "file"),
        ("./a:b", "file"),
        ("a:b/c", "file"),
        ("~/x", "file"),
        ("S3://b/p", "s3"),
        ("memory:", "memory"),
        ("kist://a/b", "kist"),
        ("a+b.c://x", "a+b.c"),
        ("1a://x", "file"),
    ],
)
def test_the_scheme_of(url: str, scheme: str) -> None:
    assert scheme_of(url) == scheme


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"'gopher'.*file.*memory.*s3"):
        open_store("gopher://host/x")


def open_special(url: str, *, create: bool, flavour: str = "") -> Store:
    return MemoryStore(name=f"{url}-{create}-{flavour}")


def test_a_scheme_can_be_registered() -> None:
    register("x-special", store=f"{__name__}:open_special")
    assert repr(open_store("x-special://a", create=True, flavour="mint")).startswith("<MemoryStore memory://x-special://a-True-mint")
    assert schemes()["x-special"].repository is None


def test_an_option_that_a_store_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="colour"):
        open_store(tmp_path, colour="red")


@pytest.mark.parametrize(("scheme", "factory"), [("", "a:b"), ("1x", "a:b"), ("a b", "a:b"), ("ok", "no-colon"), ("ok", "a:b:c")])
def test_what_can_not_be_registered(scheme: str, factory: str) -> None:
    with pytest.raises(InvalidInput):
        register(scheme, store=factory)


@pytest.mark.parametrize("factory", ["kist.no_such_module:open", "kist.stores.memory:no_such_function"])
def test_a_factory_that_can_not_be_loaded_is_told(factory: str) -> None:
    register("x-broken", store=factory)
    with pytest.raises(InvalidInput, match="can't be loaded"):
        open_store("x-broken://a")


def test_importing_loads_no_client() -> None:
    code = "import sys, kist.stores.urls as u; u.open_store('memory://a'); u.open_store('.'); print('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
