"""A served app with captures, and clients that have signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.auth import Caller, Denied, LocalAuthority, Policy
from tests.serving import Served, serving
from tests.unit.app.web.samples import captures


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture
def filled(served: Served) -> Served:
    served.runtime.store.write(captures())
    return served


@contextmanager
def sign_in(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=20) as client:
        answer = client.post("/login", data={"token": served.runtime.token})
        assert answer.status_code == 303
        yield client


def bounded(served: Served, *namespaces: str) -> None:
    """From now on everybody with the token may read these namespaces only, as in a cluster."""

    class Bounded(LocalAuthority):
        async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
            caller = await super().check(token, policy, namespace)
            if not policy.bounded:
                raise Denied(403, "this caller may read some namespaces only")
            return caller._replace(namespaces=namespaces)

    served.runtime.authority = Bounded(served.runtime.token)


@pytest.fixture
def visitor(filled: Served) -> Iterator[httpx.Client]:
    with sign_in(filled) as client:
        yield client


@pytest.fixture
def newcomer(served: Served) -> Iterator[httpx.Client]:
    """Signed in where nothing was captured."""
    with sign_in(served) as client:
        yield client
