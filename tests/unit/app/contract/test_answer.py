import pytest

from app.contract.answer import BLOCKED, NO_TRAILERS, phrase, render
from app.contract.rules import Answer

HTML = Answer(status=200, headers=(("content-type", "text/html"),), body=b"cribl\n")


def test_an_answer_is_complete() -> None:
    assert render(HTML) == (
        200,
        "OK",
        [("content-type", "text/html"), ("content-length", "6")],
        b"cribl\n",
    )


def test_a_rendered_body_replaces_the_static_one() -> None:
    rendered = render(HTML, "POST", "é".encode())
    assert rendered.body == "é".encode()
    assert ("content-length", "2") in rendered.headers


def test_head_has_the_headers_of_get_and_no_body() -> None:
    get, head = render(HTML, "GET"), render(HTML, "HEAD")
    assert head.headers == get.headers
    assert head.body == b""


@pytest.mark.parametrize("status", [101, 204, 304])
def test_a_status_without_a_body_has_neither_body_nor_length(status: int) -> None:
    rendered = render(Answer(status=status, body=b"x"), body=b"y")
    assert rendered.headers == [] and rendered.body == b""


def test_an_empty_answer_has_a_length() -> None:
    assert render(Answer(status=302)).headers == [("content-length", "0")]


def test_rendering_leaves_the_rule_as_it_is() -> None:
    render(HTML).headers.append(("x", "y"))
    assert render(HTML).headers == [("content-type", "text/html"), ("content-length", "6")]


def test_phrase() -> None:
    assert [phrase(s) for s in (200, 404, 599, 0)] == ["OK", "Not Found", "", ""]


def test_own_answers_say_who_speaks() -> None:
    assert (BLOCKED.status, NO_TRAILERS.status) == (403, 501)
    assert all(b"telemock" in a.body for a in (BLOCKED, NO_TRAILERS))
