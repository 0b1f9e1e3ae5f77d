"""A server that speaks S3: its address, its keys, and the few requests that tests need beside a store's."""

import datetime
import hashlib
import hmac
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass

from kist.stores.protocols import ConditionalStore
from kist.stores.urls import open_store

_VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running server with one user who may do everything."""

    name: str
    port: int
    access_key: str = "testkey"
    secret_key: str = "testsecret"
    region: str = "us-east-1"

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, *, versioned: bool = False) -> str:
        """Make an empty bucket and return its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.request("PUT", f"/{name}")
        if versioned:
            self.request("PUT", f"/{name}", query="versioning=", body=_VERSIONED)
        return name

    def store(self, bucket: str, prefix: str = "", **options: object) -> ConditionalStore:
        """Open a store in a bucket."""
        store = open_store(f"s3://{bucket}/{prefix}", create=False, **{**self.options(), **options})
        assert isinstance(store, ConditionalStore)
        return store

    def options(self) -> dict[str, object]:
        """Return what `kist.stores.urls.open_store` needs beside a URL."""
        keys = {"access_key_id": self.access_key, "secret_access_key": self.secret_key}
        return {"endpoint": self.endpoint, "region": self.region, **keys}

    def environment(self) -> dict[str, str]:
        """Return the same as environment variables, for another process."""
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": self.region, "AWS_ALLOW_HTTP": "true", **keys}

    def request(self, method: str, path: str, *, query: str = "", body: bytes = b"") -> bytes:
        """Send one signed request (AWS Signature Version 4) and return the body of the answer."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": digest, "x-amz-date": now}
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = "\n".join([method, urllib.parse.quote(path), query, lines, ";".join(headers), digest])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self.access_key}/{scope}, SignedHeaders={';'.join(headers)}, Signature={signature}"
        request = urllib.request.Request(
            f"{self.endpoint}{urllib.parse.quote(path)}{f'?{query}' if query else ''}",
            data=body or None,
            method=method,
            headers={**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{self.name} answered {error.code} to {method} {path}?{query}: {error.read()!r}") from error
        assert isinstance(content, bytes)
        return content
