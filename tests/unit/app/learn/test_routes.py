"""app/learn/routes.py: what varies among paths has a name, and a condition takes what was seen."""

import pytest

from app.learn.draft import draft
from app.learn.routes import condition, is_name, named, routes_of
from tests.unit.app.learn.conftest import request


def routes(*paths: str) -> set[str]:
    asked = [one for path in paths if (one := request(path=path).request)]
    return {"/" + "/".join(steps) for steps in routes_of(asked)}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/e/event-0", "/e/event-1", "/e/event-2"], {"/e/{id}"}),
        (["/e/event-0", "/e/event-1"], {"/e/event-0", "/e/event-1"}),
        (["/s/shard1/x", "/s/shard2/x", "/s/shard3/y"],
         {"/s/shard1/x", "/s/shard2/x", "/s/shard3/y"}),
        (["/v1/x", "/v2/x", "/v3/x"], {"/v1/x", "/v2/x", "/v3/x"}),
        (["/oauth1/x", "/oauth2/x", "/oauth3/x"], {"/oauth1/x", "/oauth2/x", "/oauth3/x"}),
        (["/users/ada/events"], {"/users/{user}/events"}),
        (["/users/me/events", "/users/search/x"], {"/users/me/events", "/users/search/x"}),
        (["/users/telemetry"], {"/users/telemetry"}),
        (["/projects/a/x", "/projects/b/x"], {"/projects/{project}/x"}),
        (["/projects/a/x"], {"/projects/a/x"}),
        (["/projects/a/users/ada/x", "/projects/b/users/eve/x"],
         {"/projects/{project}/users/{user}/x"}),
        (["/orgs/7/hosts/a/x", "/orgs/8/hosts/b/x"], {"/orgs/{id}/hosts/{host}/x"}),
        (["/" + "a/" * 40], {"/" + "a/" * 8 + "*"}),
    ],
)  # fmt: skip
def test_several_paths_tell_what_varies(paths: list[str], expected: set[str]) -> None:
    assert routes(*paths) == expected


def test_a_name_in_a_path_is_hidden_and_in_no_route() -> None:
    found = draft([request(path="/users/ada/events"), request(1, "/users/me/events")])
    assert [e.route for e in found.endpoints] == ["/users/me/events", "/users/{user}/events"]
    assert [row.field for row in found.sensitive] == ["path.user"]


def test_names_are_told_apart() -> None:
    assert named(("a", "{id}", "b", "{id}")) == ("a", "{id}", "b", "{id2}")
    assert is_name("{id}") and not is_name("id")


def test_a_condition_takes_what_was_seen_and_reads_well() -> None:
    path = condition("/update-check/{id}", ("update-check", "{id}"), {"/update-check/1"})
    assert path is not None and path.value == "/update-check/[^/]+"
    assert condition("/a", ("a",), {"/b"}) is None


def test_thousands_of_paths_are_one_route() -> None:
    many = [f"/users/u{n}/devices/d{n}/x-{n}" for n in range(2_000)]
    assert routes(*many) == {"/users/{user}/devices/{device}/{id}"}
