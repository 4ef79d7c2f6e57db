import base64
import json

import pytest

from app.contract.record import VALUE_CAP, Body, Message
from app.web import content
from app.web.content import CUT, MASKED, MOST, OPAQUE, PARTLY, TOKENED, FieldLine, hidden, values
from tests.records import exchange
from tests.unit.app.web.samples import TOKEN


def shown(lines: list[FieldLine]) -> list[tuple[str, str, str, str, str]]:
    return [line[:5] for line in lines]


def test_values_of_query_and_body() -> None:
    body = Body(text='{"a":{"b":[true,null,1.5,"",4.10]},"e":{},"m":"***"}', size=40)
    found = shown(values(exchange(1, query=[("n", "12")], headers=[], body=body)))
    assert found == [
        ("query", "n", "12", "integer", ""),
        ("body", "a.b[0]", "true", "boolean", ""),
        ("body", "a.b[1]", "null", "null", ""),
        ("body", "a.b[2]", "1.5", "number", ""),
        ("body", "a.b[3]", "", "empty", ""),
        ("body", "a.b[4]", "4.10", "number", ""),
        ("body", "e", "{}", "object", ""),
        ("body", "m", "***", "string", MASKED),
    ]


def test_what_values_carry_is_opened_and_its_name_says_how() -> None:
    carried = base64.b64encode(json.dumps({"a": {"b": "deep"}, "t": TOKEN}).encode()).decode()
    record = exchange(
        1, path="/v1/4.16/linux", route="/v1/{version}/{platform}", query=[("data", carried)],
        headers=[("User-Agent", "torch/2.1; py/3.12")],
        body=Body(text=json.dumps({"p": carried}), size=99),
    )  # fmt: skip
    found = {(line.place, line.name): line for line in values(record)}
    assert found["path", "version"].value == "4.16"
    assert found["query", "data"].value == carried
    assert found["query", "data›base64›json.a.b"].value == "deep"
    assert found["query", "data›base64›json.t"].hidden == TOKENED
    assert found["header", "user-agent›pairs.torch"].value == "2.1"
    assert found["body", "p›base64›json.a.b"].value == "deep"


def test_bytes_that_cannot_be_read_say_so() -> None:
    body = Body(base64=base64.b64encode(bytes(range(256))).decode(), size=256)
    (line,) = values(exchange(1, query=[], headers=[], body=body))
    assert (line.type, line.hidden) == ("opaque", OPAQUE)
    assert line.value.startswith("opaque, 256 bytes")
    (line,) = values(exchange(1, query=[], headers=[], body=Body(size=9, withheld="encoding")))
    assert "withheld" in line.value


def test_plain_text_stands_below_and_is_no_value() -> None:
    assert values(exchange(1, query=[], headers=[], body=Body(text="hello there", size=11))) == []


def test_a_message_has_values_too() -> None:
    message = Message(of="ab" * 8 + "-1", sender="client", body=Body(text='{"a":1}', size=7))
    record = exchange(1, kind="message", message=message, query=[], headers=[])
    assert [(line.name, line.value) for line in values(record)] == [("a", "1")]


@pytest.mark.parametrize(
    ("value", "why"),
    [("plain", ""), ("***", MASKED), ("https://u:***@h", PARTLY), (TOKEN, TOKENED),
     (f"a {TOKEN}", PARTLY), ("x" * VALUE_CAP + "…", CUT), ("short…", "")],
)  # fmt: skip
def test_why_a_value_is_not_as_it_was_sent(value: str, why: str) -> None:
    assert hidden(value) == why


def test_values_are_bounded() -> None:
    deep = "[" * 500 + "]" * 500
    assert values(exchange(1, body=Body(text=deep, size=1000)))[-1].value == "…"
    wide = "[" + ",".join("1" * 3000) + "]"
    assert len(values(exchange(1, body=Body(text=wide, size=len(wide))))) == MOST + 1
    (line,) = values(exchange(1, query=[("a", "x" * 8_190)], headers=[]))
    assert len(line.value) == content._VALUE + 1


def test_a_value_says_what_called_for_its_masking() -> None:
    record = exchange(1, query=[("lic", "***"), ("a", "x *** y"), ("n", "1")], headers=[])
    record.masked = [("query.lic", "lic"), ("query.a", "JWT"), ("query.a", "IBAN"), ("body", "z")]
    assert [line.hidden for line in values(record)] == [
        f"{MASKED} (lic)", f"{PARTLY} (JWT, IBAN)", "",
    ]  # fmt: skip
    record = exchange(1, query=[], headers=[], body=Body(text='{"m":"***"}', size=11))
    record.masked = [("body", "password")]
    assert [line.hidden for line in values(record)] == [f"{MASKED} (password)"]


def test_a_value_has_the_class_that_its_name_and_look_tell() -> None:
    record = exchange(
        1, query=[("user", "jo"), ("x1", "jo@example.com"), ("n", "5")], headers=[], route="",
    )  # fmt: skip
    assert {line.name: line.class_title for line in values(record)} == {
        "user": "identifier of a person", "x1": "contact", "n": "usage counter",
    }  # fmt: skip
