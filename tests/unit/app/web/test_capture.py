import shlex
import subprocess

import pytest

from app.contract.record import Body, CaptureRecord, Message, Request, encode
from app.contract.rules import RuleSet
from app.profiles import load_profiles
from app.web.capture import curl, detail
from tests.records import exchange, spliced


def shown(record: CaptureRecord, trace_url: str = ""):
    return detail(encode(record), RuleSet(), trace_url)


def why(record: CaptureRecord, rules: RuleSet | None = None) -> dict[str, str]:
    return {w.name: w.value for w in detail(encode(record), rules or RuleSet(), "").why}


def test_why() -> None:
    found = why(exchange(1, mode="observe", action="observe", reason="app_error"))
    assert found == {
        "Rule": "cribl / telemetry (not among the rules in use now)",
        "Action": "observe: forwarded to the real host as it came",
        "Mode": "observe, in place of the rule's action",
        "Reason": "the app answered with an error (app_error)",
    }
    assert why(spliced(1))["Rule"] == "no profile names this host"
    assert why(spliced(1, profile="p"))["Rule"] == "none of p took it"


def test_bodies_are_bounded() -> None:
    deep = "[" * 500 + "]" * 500
    assert shown(exchange(1, body=Body(text=deep, size=1000))).fields[-1].value == "…"
    wide = "[" + ",".join("1" * 3000) + "]"
    found = shown(exchange(1, body=Body(text=wide, size=len(wide))))
    assert len(found.fields) == 500
    assert found.more_fields
    long = shown(exchange(1, body=Body(text="x" * 250_000, size=250_000)))
    assert len(long.bodies[0].text) == 64_000
    assert long.bodies[0].cut


def test_what_is_not_kept_says_why() -> None:
    (body, _) = shown(exchange(1, body=Body(size=9, withheld="encoding"))).bodies
    assert (body.text, body.size) == ("", 9)
    assert "could not be undone" in body.note
    message = Message(of="ab" * 8 + "-1", sender="client", body=Body(text="hi", size=2))
    found = shown(exchange(1, kind="message", message=message))
    assert found.bodies[-1].text == "hi"


def test_a_trace_link_is_a_web_address() -> None:
    record = exchange(1, trace_id="ab" * 16)
    assert shown(record, "https://j.test/{trace_id}").trace_url == "https://j.test/" + "ab" * 16
    assert shown(record).trace_url == ""
    forged = encode(record)[:-1] + b',"trace_url":"javascript:alert(1)"}'
    assert detail(forged, RuleSet(), "").trace_url == ""


def test_why_leads_to_the_profiles_line() -> None:
    rules = load_profiles(["cribl"])
    rule, unmatched = exchange(1), exchange(2, rule="")
    of = [detail(encode(r), rules, "").why for r in (rule, unmatched)]
    assert of[0][0].url == "/profiles#rule-cribl-telemetry"
    assert (of[0][1].name, "/telemetry" in of[0][1].value) == ("It takes", True)
    assert of[1][0].url == "/profiles#profile-cribl"


def test_a_header_that_is_not_as_it_was_sent_says_why() -> None:
    found = shown(exchange(1, headers=[("Cookie", "***"), ("Host", "x")]))
    assert [bool(why) for _, _, why in found.headers[0].pairs] == [True, False]


HOSTILE = [
    "it's",
    "$(touch x)",
    "`id`",
    "a\nb",
    "\x1b[2J",
    "\u202egpj",
    "@/etc/passwd",
    "\\",
    "'\n\\",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_curl_can_be_pasted(text: str) -> None:
    record = exchange(1, headers=[("X-A", text), ("Host", "x")], body=Body(text=text, size=9))
    command = curl(record)
    assert command.isprintable()
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
    )
    words = done.stdout.decode().split("\0")
    assert f"X-A: {text}" in words
    assert "Host: x" not in words
    assert words[words.index("--data-raw") + 1] == text


def test_a_masked_value_stays_readable_in_curl() -> None:
    assert "lic=***" in curl(exchange(1, query=[("lic", "***"), ("a", "x y&")]))
    assert "a=x%20y%26" in curl(exchange(1, query=[("lic", "***"), ("a", "x y&")]))


def test_curl_is_left_out_where_it_would_be_another_request() -> None:
    assert curl(spliced(1)) == ""
    assert "--data" not in curl(exchange(1, body=Body(text="a", size=9, truncated=True)))
    odd = Request(method="G;T", host="a b", path="/a b'")
    assert shlex.split(curl(exchange(1, request=odd)))[4] == "G;T"
