"""A served app with captures, and clients that have signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

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


@pytest.fixture
def visitor(filled: Served) -> Iterator[httpx.Client]:
    with sign_in(filled) as client:
        yield client


@pytest.fixture
def newcomer(served: Served) -> Iterator[httpx.Client]:
    """Signed in where nothing was captured."""
    with sign_in(served) as client:
        yield client
