import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.web.page import HEADERS
from tests.records import exchange, incoming
from tests.serving import Served, serving
from tests.unit.app.web.conftest import bounded, sign_in
from tests.waiting import wait_for


class Events:
    def __init__(self, answer: httpx.Response) -> None:
        self.headers = answer.headers
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, str, Any]:
        """Name, id and data."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line and "event" in found:
                return found["event"], found.get("id", ""), json.loads(found["data"])
            name, _, value = line.partition(": ")
            if name:
                found[name] = value
        raise EOFError


@contextmanager
def stream(client: httpx.Client, **given: Any) -> Iterator[Events]:
    headers = {"last-event-id": given.pop("last")} if "last" in given else {}
    with client.stream("GET", "/captures/tail", params=given, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


def write(served: Served, *numbers: int, **given: str) -> None:
    served.runtime.store.write(incoming(*(exchange(n, **given) for n in numbers)))


def test_rows_come_as_they_are_stored(served: Served) -> None:
    with sign_in(served) as client, stream(client, q="method:POST") as events:
        for name in HEADERS.keys() - {"Cache-Control"}:
            assert events.headers[name] == HEADERS[name]
        assert events.next()[0] == "began"
        time.sleep(0.6)
        write(served, 1)
        write(served, 2, method="POST")
        name, id, data = events.next()
        assert name == "rows" and id.startswith("arrival.0.")
        assert (data["shown"], data["of"], data["unread"]) == (1, 1, 0)
        assert data["rows"].count("<tr ") == 1
        assert "q=method%3APOST" in data["rows"]
    with sign_in(served) as client:
        write(served, 3, method="POST")
        for given in ({"last": id, "after": "arrival.0.0"}, {"after": id}):
            with stream(client, q="method:POST", **given) as events:
                assert events.next()[0] == "began"
                assert events.next()[2]["of"] == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [({"q": "hots:a"}, "no name"), ({"after": "newest.1.1"}, "none of order arrival")],
)
def test_what_makes_no_sense_ends_with_a_sentence(
    visitor: httpx.Client, given: dict[str, str], says: str
) -> None:
    with stream(visitor, **given) as events:
        name, _, data = events.next()
        assert name == "end" and says in data["said"] and data["hint"]


def test_who_is_not_signed_in_is_told(filled: Served) -> None:
    with stream(filled.bare) as events:
        assert events.next()[2]["said"] == "Nobody is signed in."
    filled.bare.cookies.set(f"telemock-{filled.port}", "of another app")
    with stream(filled.bare) as events:
        assert events.next()[2]["said"] == "Your session has ended."
    with stream(filled.bare) as events, pytest.raises(EOFError):
        events.next()
        events.next()


def test_a_stream_ends_with_its_session_and_with_its_rights(
    filled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.tail.AGAIN_S", 0.2)
    with sign_in(filled) as client, stream(client) as events:
        assert events.next()[0] == "began"
        bounded(filled, "edge")
        with pytest.raises(EOFError):  # the browser comes again
            events.next()
        with stream(client) as again:
            assert again.next()[0] == "began"
            filled.runtime.authority._token = b"another"
            name, _, data = again.next()
            assert name == "end" and "session has ended" in data["said"]


def test_how_long_a_stream_was_open_is_no_duration_of_an_answer(filled: Served) -> None:
    def answered() -> float:
        of = re.findall(
            r'duration_seconds_count\{.*status_code="200".*\} (\S+)',
            filled.bare.get("/metrics").text,
        )
        return sum(map(float, of))

    before = answered()
    with sign_in(filled) as client, stream(client) as events:
        assert events.next()[0] == "began"
    wait_for(lambda: not filled.app.state.feed._followers)
    assert answered() == before + 1  # that of the metrics themselves


def test_a_shutdown_does_not_wait_for_streams(tmp_path: Path) -> None:
    done = threading.Event()
    with serving(tmp_path) as served, sign_in(served) as client, stream(client) as events:
        assert events.next()[0] == "began"

        def read() -> None:
            with pytest.raises((EOFError, httpx.HTTPError)):
                events.next()
            done.set()

        reader = threading.Thread(target=read)
        reader.start()
        began = time.monotonic()
        served.stop()
        assert done.wait(4)
        assert time.monotonic() - began < 4
        reader.join()
