import pytest
from opentelemetry.semconv._incubating.attributes.http_attributes import HttpRequestMethodValues

from app.contract.semconv import METHODS, OTHER, method_of, scheme_of, span_name


def test_the_methods_are_those_of_the_conventions() -> None:
    assert {value.value for value in HttpRequestMethodValues} == METHODS | {OTHER}


@pytest.mark.parametrize("method", ["get", "BREW", "", "_OTHER", "GET "])
def test_any_other_method_is_one_word(method: str) -> None:
    assert method_of(method) == OTHER
    assert span_name(method, "/a") == "HTTP /a"


def test_known_words_stay_as_they_are() -> None:
    assert method_of("QUERY") == "QUERY"
    assert [scheme_of(s) for s in ("http", "https", "ws", "HTTP")] == [
        "http", "https", OTHER, OTHER,
    ]  # fmt: skip
    assert span_name("POST", "/v1/{id}") == "POST /v1/{id}"
    assert span_name("POST", "") == "POST"
