"""addon/app_client/profiles.py: the app's profiles replace the built-in ones, a bad answer none."""

import http.client
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from addon.app_client import profiles
from addon.app_client.client import ANSWER_CAP, AppApi
from app.contract import faults
from app.contract import rules as r
from app.contract.actions import Mode
from app.contract.record import CaptureRecord, Request
from tests.peers import App, send
from tests.sidecar import bundle_of, rule
from tests.waiting import wait_for

FIRST = bundle_of(rule("first", "/first"))
SECOND = bundle_of(rule("second", "/second"))
APIS: list[AppApi] = []  # that a test has made


@pytest.fixture
def app() -> Iterator[App]:
    app = App(SECOND)
    yield app
    while APIS:
        APIS.pop().close()
    app.close()


def asking(app: App, **more: object) -> profiles.Profiles:
    APIS.append(AppApi(f"http://127.0.0.1:{app.port}", lambda: "the-token"))
    return profiles.Profiles(APIS[-1], FIRST, **more)  # type: ignore[arg-type]


def test_the_built_in_set_knows_cribl() -> None:
    bundle = profiles.built_in()
    assert [p.id for p in bundle.rules.of_host("cdn.cribl.io")] == ["cribl"]
    assert bundle.mask_key is None


def test_takes_a_new_set_and_asks_for_changes_only(app: App) -> None:
    heads: list[bytes] = []
    original = app._profiles

    def seen(connection: socket.socket, head: bytes) -> None:
        heads.append(head.lower())
        original(connection, head)

    app._profiles = seen  # type: ignore[method-assign]
    asked = asking(app, boot="ab" * 16)
    assert asked.rules.rule("cribl", "first") is not None and asked.etag == ""
    assert asked.fetch() is True
    assert asked.rules.rule("cribl", "second") is not None
    etag = asked.etag
    assert asked.fetch() is False and asked.etag == etag
    assert b"authorization: bearer the-token\r\n" in heads[0]
    assert b"telemock-sidecar: " + b"ab" * 16 + b"\r\n" in heads[0]
    assert b"if-none-match: " + etag.encode() in heads[1]


def test_the_mask_key_comes_with_the_set(app: App) -> None:
    bundle = bundle_of()
    secret = r.Profile(
        id="cribl",
        title="",
        hosts=(r.Host("cdn.cribl.io"),),
        rules=(),
        sensitive=(r.Sensitive("query", "lic", "token"),),
    )
    app.bundle = r.Bundle(r.RuleSet((secret,)), b"k" * 32, "0123abcd")
    assert bundle.mask_key is None
    asked = asking(app)
    asked.fetch()
    record = asked.masker.record(
        CaptureRecord(
            boot="0" * 32, seq=1, kind="exchange", time_ns=0, profile="cribl",
            request=Request(method="GET", query=[("lic", "secret")]),
        )
    )  # fmt: skip
    assert record.mask_key == "0123abcd"
    assert record.request is not None and record.request.query[0][1] not in ("secret", "***")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (b"200 OK", b"no json"),
        (b"200 OK", b'{"rules": {"profiles": [{"id": 1}]}}'),
        (b"200 OK", b'{"rules": {}}'),
        (b"200 OK", r.dump(r.Bundle(r.RuleSet()))),
        (b"200 OK", r.dump(FIRST) + b" " * ANSWER_CAP),
        (b"206 Partial Content", r.dump(FIRST)),
        (b"503 Service Unavailable", r.dump(FIRST)),
        (b"401 Unauthorized", b"{}"),
        (b"500 Internal Server Error", b""),
    ],
)
def test_a_bad_answer_keeps_the_good_set(app: App, status: bytes, body: bytes) -> None:
    asked = asking(app)
    asked.fetch()
    good = asked.active
    app._profiles = lambda c, head: send(c, body, status)  # type: ignore[method-assign]
    with pytest.raises(ValueError):
        asked.fetch()
    assert asked.active is good


def test_an_answer_that_is_no_http_keeps_the_good_set(app: App) -> None:
    app._profiles = lambda c, head: c.sendall(b"SSH-2.0\r\n\r\n")  # type: ignore[method-assign]
    asked = asking(app)
    with pytest.raises(http.client.HTTPException):
        asked.fetch()
    assert asked.rules is FIRST.rules


def test_the_thread_tells_health_and_goes_on(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "PERIOD", 0.02)
    changes: list[bool] = []
    asked = asking(app, on_change=changes.append)
    original = app._profiles
    app._profiles = lambda c, head: send(c, b"no json")  # type: ignore[method-assign]
    asked.start()
    try:
        wait_for(lambda: asked.error)
        assert asked.state()["source"] == "built-in" and asked.state()["error"]
        app._profiles = original  # type: ignore[method-assign]
        wait_for(lambda: asked.state()["source"] == "app")
        wait_for(lambda: not asked.error)
        assert changes[0] is True and changes[-1] is False
    finally:
        asked.stop()


def test_the_app_is_told_which_start_asks(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []
    answer = app._profiles

    def noted(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        answer(connection, head)

    monkeypatch.setattr(app, "_profiles", noted)
    asking(app, boot="ab" * 16).fetch()
    assert b"telemock-sidecar: " + b"ab" * 16 in heads[0]


@pytest.mark.parametrize(("said", "period"), [(b"", 5), (b"0", 5), (b"17", 17), (b"3600", 60)])
def test_the_app_says_how_often_it_is_asked(app: App, said: bytes, period: float) -> None:
    header = b"telemock-again: %s\r\n" % said if said else b""
    app._profiles = lambda c, head: send(c, r.dump(SECOND), headers=header)  # type: ignore[method-assign]
    asked = asking(app)
    asked.fetch()
    assert asked._period == period


def test_questions_share_a_connection(app: App) -> None:
    asked = asking(app)
    for _ in range(3):
        asked.fetch()
    assert app.accepted == 1


@pytest.mark.parametrize(
    ("mode", "action"), [(None, "block"), ("mock", "block"), ("block", "block"), ("observe",) * 2]
)
def test_a_host_that_no_profile_names_yet_is_closed_until_the_app_names_it(
    app: App, mode: Mode | None, action: str
) -> None:
    bundle = profiles.closed(FIRST, ["cdn.cribl.io", "new.example", "new.example"], mode)
    APIS.append(AppApi(f"http://127.0.0.1:{app.port}", lambda: "the-token"))
    asked = profiles.Profiles(APIS[-1], bundle)
    assert asked.awaited == ["new.example"]
    (waiting,) = asked.rules.of_host("new.example")
    assert [rule.action for rule in waiting.rules] == [action]
    assert asked.rules.fails_closed("new.example", mode) is (action == "block")
    asked.fetch()
    assert asked.awaited == []
    assert profiles.closed(FIRST, ["cdn.cribl.io"], mode) is FIRST


def test_under_a_fault_until_its_end(app: App) -> None:
    rehearsed = faults.asked("500 cribl/first until 1h")
    assert rehearsed is not None
    asked = asking(app, rehearsed=rehearsed.counted_from(datetime.now(UTC)))
    (_, rule) = asked.rules.rule("cribl", "first") or (None, None)
    assert rule is not None and (rule.answer.status, rule.answer_at) == (500, "rehearsal")
    over = asking(app, rehearsed=rehearsed.counted_from(datetime(2026, 1, 1, tzinfo=UTC)))
    assert over.rules == FIRST.rules
    assert asked.fetch() is True  # the app's rules, under the same fault: it is another rule's
    (_, rule) = asked.rules.rule("cribl", "second") or (None, None)
    assert rule is not None and rule.answer_at != "rehearsal"
