"""addon/arrive/endings.py: what is said of a connection that brought no request.

Connections for real are in test_front.py and tests/integration/test_without_request.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.arrive import endings
from addon.arrive.endings import FIN, GOODBYE, HERE, IDLE, RST, Ending, Met, ending
from addon.tls.connection import Connection
from app.contract.record import REASONS
from tests.unit.addon.mitm.test_contexts import Made, handshake, making


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with making(tmp_path) as made:
        yield made


@pytest.fixture
def shaken(made: Made) -> Connection:
    found = made.start().ssl_conn
    assert isinstance(found, Connection)
    handshake(found, made.trusting())
    return found


def test_without_a_handshake_nothing_is_known_but_how_it_ended() -> None:
    assert ending(RST, None) == Ending("failed", "no_request", RST)


@pytest.mark.parametrize("how", [FIN, RST, GOODBYE])
def test_who_leaves_with_the_certificate_probably_does_not_trust_it(
    made: Made, shaken: Connection, how: str
) -> None:
    found = ending(how, shaken)
    assert (found.kind, found.reason) == ("tls_rejected", "closed_after_handshake")
    assert found.detail.startswith(how) and "ms after" in found.detail
    begun = made.start().ssl_conn
    assert isinstance(begun, Connection)
    assert ending(how, begun) == Ending("tls_rejected", "closed_in_handshake", how)
    for reason in (found.reason, "closed_in_handshake"):
        assert "probably does not trust the sidecar's certificate" in REASONS[reason]


@pytest.mark.parametrize("how", [IDLE, HERE])
def test_whom_the_sidecar_closed_says_nothing_of_trust(shaken: Connection, how: str) -> None:
    assert ending(how, shaken) == Ending("failed", "no_request", how)


def test_who_said_something_or_waited_is_not_said_to_distrust(
    shaken: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaken.heard = True
    assert ending(FIN, shaken).reason == "no_request"
    shaken.heard = False
    monkeypatch.setattr(endings, "SOON_S", 0)
    assert ending(FIN, shaken).reason == "no_request"


def test_a_resumed_session_looks_at_no_certificate(made: Made) -> None:
    trusting = made.trusting()
    session = None
    for reason in ("closed_after_handshake", "no_request"):
        server = made.start().ssl_conn
        assert isinstance(server, Connection)
        session = handshake(server, trusting, session).session
        assert ending(FIN, server).reason == reason


def test_an_alert_after_the_handshake_is_a_refusal_too(shaken: Connection) -> None:
    shaken.error = "tlsv1 alert unknown ca"
    found = ending(FIN, shaken)
    assert found == Ending("tls_rejected", "client_refused_certificate", shaken.error)
    shaken.error = "wrong version number"
    assert ending(FIN, shaken) == Ending("failed", "no_request", f"wrong version number; {FIN}")


def test_a_connection_of_mitmproxys_tells_how_it_ended() -> None:
    assert Met().how == HERE
    assert Met(stopped=True).how == endings.SHUTDOWN
