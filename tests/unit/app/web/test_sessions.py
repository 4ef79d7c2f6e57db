import pytest

from app.web import sessions
from app.web.sessions import Codes, Sessions, TooLargeError


def test_a_cookie_holds_the_token_sealed_and_survives_a_restart() -> None:
    cookie = Sessions(b"k" * 32).cookie("the token")
    assert "token" not in cookie
    found = Sessions(b"k" * 32).read(cookie)
    assert found is not None
    assert found.token == "the token"
    assert len(found.form_token) >= 32
    assert Sessions(b"x" * 32).read(cookie) is None
    assert Sessions(b"k" * 32).read(cookie[:-2] + "AA") is None
    for foreign in ("", "x", "é", "\ud800", "A" * 5000):
        assert Sessions(b"k" * 32).read(foreign) is None


def test_a_cookie_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Sessions(b"k" * 32)
    cookie = made.cookie("t")
    now = sessions.time.time()
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: now + sessions.SESSION_S - 5)
    assert made.read(cookie)
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: now + sessions.SESSION_S + 5)
    assert made.read(cookie) is None


def test_a_token_that_no_cookie_can_hold_is_refused() -> None:
    made = Sessions(b"k" * 32)
    assert len(made.cookie("t" * 2_500)) < 3_800
    with pytest.raises(TooLargeError):
        made.cookie("t" * 4_000)


def test_a_code_works_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = Codes()
    code = codes.make("t")
    assert codes.take(code + "x") is None
    assert codes.take(code) == "t"
    assert codes.take(code) is None
    late = codes.make("t")
    now = sessions.time.monotonic()
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now + sessions.CODE_S + 1)
    assert codes.take(late) is None


def test_codes_are_bounded() -> None:
    codes = Codes()
    made = [codes.make(str(n)) for n in range(sessions._CODES + 10)]
    assert len(codes._held) == sessions._CODES
    assert codes.take(made[0]) is None
    assert codes.take(made[-1]) == str(len(made) - 1)


def test_forms_of_people_whom_a_proxy_names() -> None:
    key, other = Sessions(b"k" * 32), Sessions(b"o" * 32)
    assert key.form_token_of("ann") == key.form_token_of("ann")
    assert len({s.form_token_of(u) for s in (key, other) for u in ("ann", "bob", "")}) == 6
