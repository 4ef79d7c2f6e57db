import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract import record as r
from app.contract.record import Body, CaptureRecord, Response
from app.contract.traces import chased
from tests.canary import find_secret
from tests.unit.app.contract.records import MASKER, PLAIN, SECRET, everything, exchange

# How the other side repeats it, next to the query that gives the value away.
ECHOES = {
    "raw": lambda s: s,
    "url": lambda s: quote(s, safe=""),
    "lower url": lambda s: quote(s, safe="").replace("%2F", "%2f"),
    "every character": lambda s: "".join(f"%{b:02x}" for b in s.encode()),
    "hex": lambda s: s.encode().hex(),
    "upper hex": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 at 1": lambda s: base64.b64encode(b"x" + s.encode() + b"yz").decode(),
    "base64 at 2": lambda s: base64.b64encode(b"xy" + s.encode() + b"z").decode(),
    "base64 twice": lambda s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 of json": lambda s: base64.b64encode(json.dumps({"seen": s}).encode()).decode(),
    "json": lambda s: json.dumps({"seen": s}),
    "php json": lambda s: json.dumps({"seen": s}).replace("/", "\\/"),
    "every character escaped": lambda s: (
        '{"seen":"' + "".join(f"\\u{ord(c):04x}" for c in s) + '"}'
    ),
    "json key": lambda s: json.dumps({s: 1}),
    "html": lambda s: "<p>" + s.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "not utf-8": lambda s: s,
}


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("echo", ECHOES)
def test_what_the_other_side_repeats_is_removed(echo: str, secret: str) -> None:
    said = ECHOES[echo](secret)

    def record() -> CaptureRecord:
        opaque = base64.b64encode(b"\xff" + said.encode()).decode()
        body = Body(base64=opaque) if echo == "not utf-8" else Body(text=said)
        answer = Response(status=302, headers=[("Location", f"/x/{said}")], body=body)
        profile = "headers" if echo == "not utf-8" else "vendor"
        header = ("X-Guid", secret)
        query = [("echo", said), ("lic", secret)]
        if echo == "not utf-8":
            return exchange(profile=profile, headers=[header], response=answer)
        return exchange(query=query, response=answer)

    assert find_secret(everything(record()), secret)
    assert find_secret(everything(MASKER.record(record())), secret) == []


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=60))
def test_any_value_leaves_no_trace(secret: str) -> None:
    record = exchange(
        query=[("lic", secret), ("echo", f"a {secret} b")],
        response=Response(status=200, body=Body(text=json.dumps({"seen": [secret, {secret: 1}]}))),
    )
    masked = r.encode(MASKER.record(record))
    # One of few characters stands in many texts by chance, and so does a word such as `undefined`.
    if len(set(secret)) > 4 and chased(secret):
        assert find_secret(masked, secret) == []


@pytest.mark.parametrize("echo", ECHOES)
def test_what_comes_often_is_removed_as_what_comes_once(echo: str) -> None:
    """Bodies and values that are remembered from one record to the next."""
    answer = Body(text=ECHOES[echo](SECRET))
    for _ in range(80):
        record = exchange(
            query=[("lic", SECRET), ("v", "1")],
            response=Response(status=200, body=Body(text=answer.text)),
        )
        assert find_secret(r.encode(MASKER.record(record)), SECRET) == []
        alone = exchange(response=Response(status=200, body=Body(text=answer.text)))
        MASKER.record(alone)  # in which nothing says that it is one
