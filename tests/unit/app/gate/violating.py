"""Checks whose names are hostile, for tests of what prints them."""

from app.gate.result import Checked, Violation
from app.report.coverage import Coverage

# What acts in Markdown, HTML, SARIF's messages, XML, and on terminals.
EVIL = "|`<b>[x](http://evil)**\x1b[2J\u202e\ufffe\ud800\x00\n&'\"]]>{0}"
HOST = "cdn.cribl.io"


def violation(**given: object) -> Violation:
    known = {
        "kind": "unplanned_field", "host": HOST, "method": "GET", "endpoint": "/a",
        "field": "query.x", "says": "unplanned: string", "count": 2, "of": 3,
        "first_seen": "2026-01-01T00:00:00Z", "last_seen": "2026-01-02T00:00:00Z",
        "example": "abababab-1",
    }  # fmt: skip
    return Violation(**(known | given))  # type: ignore[arg-type]


def checked(*violations: Violation, complete: bool = True, **given: object) -> Checked:
    known = {
        "file": "p.yaml", "profile": "cribl", "of": "cribl 1", "captures": 3,
        "planned": [(HOST, "GET", "/a"), (HOST, "GET", "/b")], "violations": list(violations),
        "doubts": [], "coverage": Coverage(complete=complete, verdict="not complete: x", how=""),
    }  # fmt: skip
    return Checked(**(known | given))  # type: ignore[arg-type]


def evil() -> Checked:
    names = {"host": EVIL, "method": EVIL, "endpoint": EVIL, "field": EVIL, "says": EVIL}
    of = {"file": EVIL, "profile": EVIL, "of": EVIL, "doubts": [EVIL], "unchecked": [EVIL]}
    return checked(violation(**names), **of)
