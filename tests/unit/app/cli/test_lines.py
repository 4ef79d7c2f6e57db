"""Captures as lines."""

import pytest

from app.cli.lines import _print
from app.contract.record import Body, Message, Tls, encode
from tests.records import exchange, log, spliced

EVIL = "\x1b]0;owned\x07\u202e\n"


def test_every_kind_is_one_line_that_no_terminal_acts_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = exchange(
        1, kind="message", message=Message(of="x", sender="client", body=Body(size=3))
    )
    for record, said in (
        (exchange(1, path=f"/{EVIL}"), r"GET cdn.cribl.io/\x1b]0;owned\x07\u202e\n"),
        (log(2, EVIL), r"log WARNING \x1b]0;owned\x07\u202e\n"),
        (spliced(3, tls=Tls(sni=EVIL)), r"spliced \x1b]0;owned\x07\u202e\n: no profile"),
        (message, "message of client, 3 bytes"),
    ):
        _print([encode(record)], as_json=False)
        _, row = capsys.readouterr().out.splitlines()
        assert row.isprintable() and said in row
