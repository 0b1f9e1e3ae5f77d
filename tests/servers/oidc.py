"""An OpenID provider as its own process, for tests of logging in: its users log in by one click."""

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import answers, free_port, running, wait_until

MISSING = "no OpenID provider is installed: pip install oidc-provider-mock"
USERS = (
    {"sub": "ann@lab.org", "email": "ann@lab.org", "email_verified": True, "preferred_username": "ann"},
    {"sub": "eve", "email": "ann@lab.org", "email_verified": False, "preferred_username": "ann"},
)


def program() -> str | None:
    """Return how the provider is called."""
    return "oidc_provider_mock" if importlib.util.find_spec("oidc_provider_mock") else None


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run the provider while the context lasts, and yield its issuer."""
    port = free_port()
    users = [argument for user in USERS for argument in ("--user-claims", json.dumps(user))]
    argv = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *users]
    log = folder / "log"
    with running(argv, log=log):
        wait_until(lambda: answers(port), "the OpenID provider's start", log=log)
        yield f"http://127.0.0.1:{port}"
