import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.serving import Served, serving

PROFILE = str(Path(__file__).parents[3] / "profile.yaml")
SECRET = "canary-lic-0123456789"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, TELEMOCK_PROFILES=f"{PROFILE},cribl") as served:
        yield served


def open_socket(served: Served, url: str, **given: Any) -> ClientConnection:
    sock = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    try:
        opened: Any = connect(url, sock=sock, proxy=None, **given)
    except BaseException:
        sock.close()
        raise
    return opened  # type: ignore[no-any-return]


def test_messages_are_recorded_both_ways_and_masked(served: Served) -> None:
    with open_socket(served, f"ws://t.acme.test/ws?v=3&lic={SECRET}") as client:
        assert client.recv(timeout=10) == "hello"
        client.send(json.dumps({"lic": SECRET, "n": 1}))
        client.send(b"\xff\xfe")
    opened, greeting, text, binary = served.captures(4)
    assert (opened["kind"], opened["rule"], opened["product_version"]) == (
        "exchange", "socket", "3",
    )  # fmt: skip
    assert (opened["response"]["status"], opened["request"]["scheme"]) == (101, "http")
    of = f"{opened['boot']}-{opened['seq']}"
    for message in (greeting, text, binary):
        assert message["kind"] == "message"
        assert message["message"]["of"] == of
    assert greeting["message"]["sender"] == "server"
    assert greeting["message"]["body"]["text"] == "hello"
    assert text["message"]["sender"] == "client"
    assert '"n": 1' in text["message"]["body"]["text"]
    # The profile names sensitive body fields, and nothing says where they would be in this.
    assert (binary["message"]["body"]["size"], binary["message"]["body"]["withheld"]) == (
        2, "unmaskable",
    )  # fmt: skip
    assert SECRET not in json.dumps([opened, text])


def test_one_of_the_offered_protocols_is_taken(served: Served) -> None:
    offered = [Subprotocol("a"), Subprotocol("b")]
    url = f"ws://127.0.0.1:{served.port}/telemetry/ws"
    with open_socket(served, url, subprotocols=offered) as client:
        assert client.subprotocol == "a"
    assert served.captures()[0]["profile"] == "cribl"


def test_a_rule_without_websocket_refuses(served: Served) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_socket(served, "ws://t.acme.test/page")
    assert caught.value.response.status_code == 403
    assert served.captures()[0]["response"]["status"] == 403


def test_elsewhere_there_is_no_websocket(served: Served) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_socket(served, f"ws://127.0.0.1:{served.port}/api/v1/captures")
    assert caught.value.response.status_code in (403, 404)


def test_through_a_sidecar_nothing_is_recorded(served: Served) -> None:
    headers = {"telemock-record": "x-1", "telemock-rule": "acme/socket"}
    with open_socket(served, "ws://t.acme.test/ws", additional_headers=headers) as client:
        assert client.recv(timeout=10) == "hello"
        client.send("one")
    served.bare.get("/page", headers={"host": "t.acme.test"})
    assert [r["rule"] for r in served.captures()] == ["page"]
