import pytest

from app.contract.record import CaptureRecord, Request, Searched
from app.run.canary.plant import Planted
from app.run.canary.told import CanaryFound, lines, sentence, told, whom

PLANTED = Planted(planted={"user": "variables alone: no right"}, not_planted={"MAC address": "why"})


def record(*found: tuple[str, str, str], **given: object) -> CaptureRecord:
    canary = Searched(found=[*found], fields=5, skipped=["body: cut"])
    request = Request(method="POST", host="t.example", path="/v1/x")
    return CaptureRecord(
        boot="0" * 32, seq=1, time_ns=1, request=request,
        **{"canary": canary, "kind": "exchange", **given},  # type: ignore[arg-type]
    )  # fmt: skip


def row(source: str, how: str) -> CanaryFound:
    return CanaryFound(
        source=source, field="body.id", how=how, of=[], host="h", method="GET", endpoint="/"
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("as it is", "body.id holds the host name"),
        ("in base64", "body.id holds the host name, in base64"),
        ("reversed", "body.id holds the host name, reversed"),
        ("SHA-256", "body.id holds the SHA-256 of the host name"),
        ("SHA-256 of its MD5", "body.id holds the SHA-256 of the MD5 of the host name"),
        (
            "SHA-256 with a salt that it keeps in ~/.x",
            "body.id holds the SHA-256 of the host name with a salt that it keeps in ~/.x",
        ),
        (
            "HMAC-MD5 of 'v1' with it as the key",
            "body.id holds the HMAC-MD5 of 'v1' with the host name as the key",
        ),
        ("SHA-256, in base64", "body.id holds the SHA-256 of the host name, in base64"),
        (
            "SHA-256 (of it in lower case), first 12 hex digits",
            "body.id holds the SHA-256 of the host name (in lower case), first 12 hex digits",
        ),
    ],
)
def test_a_finding_as_a_sentence(how: str, said: str) -> None:
    assert sentence(row("host name", how)) == said


def test_findings_are_summed_by_endpoint() -> None:
    hit = ("user and host name", "body.id", "MD5")
    found = told(PLANTED, [record(hit), record(hit), record(kind="spliced", canary=None)])
    (one,) = found.found
    assert (one.count, one.of, one.endpoint) == (2, ["the person", "the machine"], "/v1/x")
    assert (found.fields, found.skipped, found.unopened) == (10, {"body: cut": 2}, 1)
    said = "\n".join(lines(found))
    assert "canary: POST t.example/v1/x" in said
    assert "holds the MD5 of the user and host name: it tells of the person and the machine" in said
    assert "not searched: body: cut (2 times)" in said
    assert "not searched: 1 connection or request that no rule opens" in said


def test_no_line_of_a_capture_s_can_be_one_of_ours() -> None:
    hostile = record(("user", "body.a\n\x1b[2J", "as it is"))
    assert hostile.request is not None
    hostile.request.host = "t.example\ntelemock: complete"
    said = lines(told(PLANTED, [hostile]))
    assert not [line for line in said if "\n" in line or "\x1b" in line]


def test_nothing_found_says_of_how_much() -> None:
    said = "\n".join(lines(told(PLANTED, [record()])))
    assert "no known value was found (0 sources looked for in 5 fields)" in said
    assert "user: variables alone: no right" in said
    assert "not planted: MAC address: why" in said


def test_whom_a_source_tells() -> None:
    assert whom("user (real)") == ["the person"]
    assert whom("an environment variable") == []
