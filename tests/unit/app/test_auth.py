import inspect
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.auth import Denied, LocalAuthority, Policy, mask_key, token
from app.main import create_app
from app.settings import load
from app.web import assets
from tests.serving import environment, serving


def test_token_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    made = token(tmp_path)
    assert len(made) >= 43
    assert token(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["token"]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(token, [tmp_path] * 32))) == 1


def test_an_empty_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    assert len(token(tmp_path)) >= 43


def test_mask_key_of_another_length_is_refused(tmp_path: Path) -> None:
    assert len(mask_key(tmp_path)) == 32
    (tmp_path / "mask.key").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"holds 5 bytes, expected 32\n\nhint: "):
        mask_key(tmp_path)


def test_every_api_route_asks_for_the_token(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        asked = 0
        for path, operations in served.app.openapi()["paths"].items():
            for method in operations:
                url = path.replace("{id}", "0123456789abcdef-1")
                answer = served.bare.request(method, url)
                if path.startswith("/api"):
                    asked += 1
                    assert answer.status_code == 401, path
                    assert answer.headers["www-authenticate"] == "Bearer"
                    assert answer.json()["hint"]
                    assert operations[method]["security"] == [{"HTTPBearer": []}]
                else:
                    assert answer.status_code == 200, path
        assert asked >= 7


@pytest.mark.parametrize(
    "shown", ["Bearer wrong", "Basic {token}", "Bearer", "Bearer \xff", "{token}"]
)
def test_another_token_is_refused(tmp_path: Path, shown: str) -> None:
    with serving(tmp_path) as served:
        value = shown.format(token=served.runtime.token).encode("latin-1")
        answer = served.bare.get("/api/v1/report", headers={b"authorization": value})
        assert answer.status_code == 401
        assert served.client.get("/api/v1/report").status_code == 200


def routes(router: Any) -> Iterator[APIRoute]:
    for route in router.routes:
        if inner := getattr(route, "original_router", None):
            yield from routes(inner)
        elif isinstance(route, APIRoute):
            yield route
        else:  # a kind of route that this does not know may be open to everyone
            assert route.path == "/openapi.json"


def policies(app: FastAPI) -> dict[tuple[str, str], list[Policy]]:
    return {
        (method, route.path): [
            d.call for d in route.dependant.dependencies if isinstance(d.call, Policy)
        ]
        for route in routes(app.router)
        for method in route.methods
    }


@pytest.mark.parametrize("cluster", ["0", "1"])
def test_every_api_route_names_whom_it_lets_in(tmp_path: Path, cluster: str) -> None:
    app = create_app(load(environment(tmp_path, TELEMOCK_CLUSTER=cluster)))
    found = policies(app)
    calls = {
        (method, route.path): [d.call for d in route.dependant.dependencies]
        for route in routes(app.router)
        for method in route.methods
    }
    assert len(found) >= 10
    for (method, path), named in found.items():
        if path in ("/health", "/ready", "/metrics"):
            assert not named
            continue
        if not path.startswith("/api/"):  # the page, which asks whom its session is of
            asks = {getattr(call, "__name__", "") for call in calls[method, path]}
            opened = path in ("/login", "/logout") or path.startswith(assets.PREFIX + "/")
            opened |= path == "/captures/tail"  # it asks in its stream, whose end says why
            assert opened or asks & {"_lists", "_gets", "_decides"}, f"{path} is open to everyone"
            continue
        assert len(named) == 1, path
        # Sidecars do two things; people may only read, delete, and decide on changes.
        assert named[0].sidecar == (
            path in ("/api/v1/profiles", "/api/v1/captures")
            and ((method == "POST") == path.endswith("captures"))
        ), path
        wanted = {"POST": {None}, "GET": {"get", "list"}, "DELETE": {"delete"}}[method]
        if path == "/api/v1/page/codes":  # a link to the page, for a token that may look at it
            wanted = {"list"}
        if method == "POST" and path.startswith("/api/v1/changes"):
            wanted = {"update"}
        assert named[0].verb in wanted, path


def test_no_dependency_takes_a_thread(tmp_path: Path) -> None:
    for route in routes(create_app(load(environment(tmp_path))).router):
        for dependency in route.dependant.dependencies:
            call = dependency.call
            assert any(map(inspect.iscoroutinefunction, (call, type(call).__call__))), route.path


async def test_no_token_is_never_the_token() -> None:
    for held in ("", "secret"):
        for shown in ("", "Secret", "secret "):
            with pytest.raises(Denied) as caught:
                await LocalAuthority(held).check(shown, Policy("get"))
            assert caught.value.status == 401
    assert (await LocalAuthority("secret").check("secret", Policy("delete"))).sidecar
