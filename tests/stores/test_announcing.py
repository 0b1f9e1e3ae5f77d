"""Names of mounts that fsspec is told of."""

import uuid

import pytest
from fsspec.registry import known_implementations  # type: ignore[import-untyped]  # it has no types

from kist.stores.announcing import announce, class_name, is_announced, mount_name


@pytest.mark.parametrize("name", ["a", "my_storage", "my-storage", "a+b.c_d", "x_5f"])
def test_a_class_has_the_name_of_its_mount(name: str) -> None:
    assert class_name(name).isidentifier()
    assert mount_name(class_name(name)) == name


@pytest.mark.parametrize("name", ["register", "Mount_", "Mount_a-b", "Mount_a_b", "Mount_a_2D"])
def test_no_other_name_is_that_of_a_mount(name: str) -> None:
    assert mount_name(name) is None


def test_a_name_is_told_once_and_also_with_a_hyphen() -> None:
    name = f"mount_{uuid.uuid4().hex}"
    assert announce(name)
    assert announce(name)
    assert is_announced(name)
    assert is_announced(name.replace("_", "-"))


def test_what_fsspec_knows_stays_what_it_is() -> None:
    before = dict(known_implementations["dropbox"])
    assert not announce("dropbox")
    assert not is_announced("dropbox")
    assert known_implementations["dropbox"] == before
