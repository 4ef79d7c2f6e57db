import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.contract.answer import render
from app.contract.rules import Answer
from app.mock.respond import Outgoing
from tests.serving import Served, serving
from tests.waiting import wait_for

PROFILE = str(Path(__file__).parents[3] / "profile.yaml")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("deliver"), TELEMOCK_PROFILES=PROFILE) as served:
        yield served


def connect(served: Served, path: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nhost: t.acme.test\r\n\r\n".encode())
    return client


def record(served: Served, rule: str, at_least: int = 1) -> dict[str, object]:
    found = served.captures(0, limit=1000)

    def enough() -> bool:
        found[:] = [r for r in served.captures(0, limit=1000) if r["rule"] == rule]
        return len(found) >= at_least

    wait_for(enough)
    return found[-1]


def test_delay(served: Served) -> None:
    started = time.monotonic()
    assert served.bare.get("/late", headers={"host": "t.acme.test"}).text == "late"
    assert time.monotonic() - started >= 0.3
    assert record(served, "late")["duration_ns"] >= 300_000_000


def test_a_rules_own_date_is_the_only_one(served: Served) -> None:
    dated = served.bare.get("/dated", headers={"host": "t.acme.test"}).headers
    assert dated.get_list("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    (other,) = served.bare.get("/page", headers={"host": "t.acme.test"}).headers.get_list("date")
    assert other.endswith("GMT")


def test_a_client_that_leaves_during_the_delay(served: Served) -> None:
    connect(served, "/late").close()
    found = record(served, "late", 2)
    assert (found["kind"], found["reason"]) == ("failed", "client_gone")
    assert "response" not in found


def test_reset_is_a_reset(served: Served) -> None:
    with connect(served, "/reset") as client, pytest.raises(ConnectionResetError):
        client.recv(1)
    found = record(served, "reset")
    assert (found["kind"], found["detail"]) == ("exchange", "fault: reset")
    assert "response" not in found


def test_hang_ends_when_the_client_leaves(served: Served) -> None:
    with connect(served, "/hang") as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert record(served, "hang")["detail"] == "fault: hang"


def test_slow_body_comes_byte_by_byte(served: Served) -> None:
    with httpx.stream(
        "GET", served.url + "/slow", headers={"host": "t.acme.test"}, trust_env=False
    ) as answer:
        pieces = list(answer.iter_raw())
    assert b"".join(pieces) == b"drip"
    assert len(pieces) > 1
    assert record(served, "slow")["response"]["body"]["size"] == 4


def test_a_client_that_leaves_a_slow_body(served: Served) -> None:
    client = connect(served, "/slow")
    client.recv(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert record(served, "slow", 2)["reason"] == "client_gone"


async def test_under_another_server_a_reset_breaks_the_answer() -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    out = Outgoing({}, receive, send)  # type: ignore[arg-type]
    answer = Answer(fault="reset")
    with pytest.raises(ConnectionAbortedError):
        await out.give(render(answer), answer)
    assert [m["type"] for m in sent] == ["http.response.start"]
