"""What a request's head holds beyond its names and values."""

import base64

import pytest

from app.contract.decoding.pairs import agent, agent_with, found_in, inside, parameters, segments

DATA = base64.b64encode(b'{"properties":{"v":4.10}}').decode()


@pytest.mark.parametrize(
    ("written", "pairs"),
    [
        (
            "unknown/None; hf_hub/0.20.1; python/3.10; torch/2.1",
            {"unknown": "None", "hf_hub": "0.20.1", "python": "3.10", "torch": "2.1"},
        ),
        ("gradio/4.1 python-requests/2.31", {"gradio": "4.1", "python-requests": "2.31"}),
        ("a=1; b=2;", {"a": "1", "b": "2"}),
        (
            "acme/4.10; path/a/b=c; mail/a+b@c.test",
            {"acme": "4.10", "path": "a/b=c", "mail": "a+b@c.test"},
        ),
        ("curl/8.0", {}),
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/2010", {}),
        ("", {}),
        ("a/1;" * 10_000, {}),
    ],
)
def test_pairs_of_a_user_agent(written: str, pairs: dict[str, str]) -> None:
    assert agent(written) == pairs


def test_values_of_pairs_are_replaced_in_place() -> None:
    written = " acme/4.10;  mail/a=b/c  os=linux;"
    assert agent_with(written, lambda n, v: "***" if n == "mail" else v) == (
        " acme/4.10;  mail/***  os=linux;"
    )
    assert agent_with("Mozilla/5.0 (mail/x)", lambda n, v: "***") == "Mozilla/5.0 (mail/x)"


def test_segments_that_the_route_names() -> None:
    route = "/v1/{version}/{platform}/x"
    assert segments("/v1/4.10/linux%2Farm/x", route) == [
        ("version", "4.10"),
        ("platform", "linux/arm"),
    ]
    assert segments("/v1/4.10", route) == [("version", "4.10")]
    assert segments("/v1//x", route) == [("platform", "x")]
    assert segments("/v1/4.10", "/v1/*") == []


@pytest.mark.parametrize(
    ("path", "pairs"),
    [
        ("/v1/a", []),
        ("/v1;user=me/a;b;%63=d%20e", [(";user", "me"), (";b", ""), (";c", "d e")]),
        ("/v1;;=x;a=b=c", [(";", ""), (";", "x"), (";a", "b=c")]),
    ],
)
def test_parameters_of_a_path(path: str, pairs: list[tuple[str, str]]) -> None:
    assert parameters(path) == pairs


@pytest.mark.parametrize(
    ("pairs", "name", "found"),
    [
        ([("v", "4.10"), ("v", "5")], "v", ["4.10", "5"]),
        ([("a.b", "1")], "a.b", ["1"]),
        ([("data", DATA)], "data.properties.v", ["4.10", "4.1"]),
        ([("data", DATA)], "data›base64›json.properties.v", ["4.10", "4.1"]),
        ([("data", DATA)], "data.properties", []),
        ([("user-agent", "hf_hub/0.20; torch/2.1")], "user-agent.torch", ["2.1"]),
        ([("a", "1")], "b", []),
    ],
)
def test_what_is_found_under_a_name(
    pairs: list[tuple[str, str]], name: str, found: list[str]
) -> None:
    assert list(found_in(pairs, name)) == found


def test_short_values_hold_nothing() -> None:
    assert inside("a", "[1]") == "[1]"
