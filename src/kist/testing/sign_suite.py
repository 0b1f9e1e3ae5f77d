# ruff: noqa: S101  a suite asserts
"""What stores do that sign URLs; to be added to the suites of such a store's test."""

from datetime import timedelta
from typing import ClassVar, Protocol

import httpx
import pytest

from kist.errors import InvalidInput
from kist.stores.protocols import Sign, Store
from kist.testing.store_suite import ODD_KEYS, OddKeys

__all__ = ["SignSuite"]


class Signing(Store, Sign, Protocol):
    """A store for `SignSuite`."""


class SignSuite(OddKeys):
    """URLs that open one object."""

    put_headers: ClassVar[dict[str, str]] = {}
    """What a PUT must send beside its body."""

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_signed_url_reads(self, store: Signing, key: str) -> None:
        """With no credentials beside it."""
        if self.refuses(key, lambda: store.signed_url(key, expires_in_seconds=60)):
            return
        store.put(key, b"content")
        answer = httpx.get(store.signed_url(key, expires_in_seconds=60))
        assert (answer.status_code, answer.content) == (200, b"content")

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_signed_url_writes(self, store: Signing, key: str) -> None:
        """If it was made for that."""
        if self.refuses(key, lambda: store.signed_url(key, expires_in_seconds=60, method="PUT")):
            return
        answer = httpx.put(store.signed_url(key, expires_in_seconds=60, method="PUT"), content=b"new", headers=self.put_headers)
        assert answer.is_success
        assert store.get(key) == b"new"

    def test_a_url_for_reading_does_not_write(self, store: Signing) -> None:
        """Nor does one for another object read."""
        store.put("a", b"old")
        store.put("b", b"other")
        url = store.signed_url("a", expires_in_seconds=60)
        assert httpx.put(url, content=b"new", headers=self.put_headers).is_error
        assert httpx.get(url.replace("/a?", "/b?")).is_error
        assert store.get("a") == b"old"

    @pytest.mark.parametrize("seconds", [0, -1, int(timedelta(days=366).total_seconds())])
    def test_a_time_that_no_service_takes(self, store: Signing, seconds: int) -> None:
        """Is refused."""
        with pytest.raises(InvalidInput):
            store.signed_url("a", expires_in_seconds=seconds)

    def test_a_method_that_is_none(self, store: Signing) -> None:
        """Is refused."""
        with pytest.raises(InvalidInput):
            store.signed_url("a", expires_in_seconds=60, method="STEAL")

    def test_a_url_for_what_is_no_key(self, store: Signing) -> None:
        """Is refused."""
        with pytest.raises(InvalidInput):
            store.signed_url("../up", expires_in_seconds=60)
