import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.records import SECOND, T0, exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in

NUMBER = 200


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Captures in pairs of one time; the newest have the highest numbers."""
    served.runtime.store.write(
        incoming(*(exchange(n, time_ns=T0 + n // 2 * SECOND) for n in range(1, NUMBER + 1)))
    )
    with sign_in(served) as client:
        yield client


def ask(client: httpx.Client, **given: Any) -> tuple[list[int], dict[str, Any]]:
    answer = client.get("/captures/rows", params=given)
    assert answer.status_code == 200
    found = answer.json()
    return [int(n) for n in re.findall(r'<tr data-id="\w+-(\d+)"', found["rows"])], found


def test_older_and_newer_meet(client: httpx.Client) -> None:
    numbers, found = ask(client)
    seen = numbers
    assert found["newer"] == ""
    while found["older"]:
        numbers, found = ask(client, older=found["older"])
        seen += numbers
    assert seen == list(range(NUMBER, 0, -1))
    back: list[int] = []
    while True:
        numbers, found = ask(client, newer=found["newer"])
        back = numbers + back
        if not found["newer"]:
            break
    assert back == seen[: len(back)]
    assert len(back) == NUMBER - 20


def test_at_a_share(client: httpx.Client) -> None:
    for share in (0.1, 0.5, 0.8):
        numbers, found = ask(client, share=share)
        assert abs(NUMBER - numbers[0] - share * NUMBER) < 4
        assert found["share"] == pytest.approx(share, abs=0.02)
        above, _ = ask(client, newer=found["newer"])
        below, _ = ask(client, older=found["older"]) if found["older"] else ([], {})
        meets = [*above, *numbers, *below]
        assert meets == list(range(above[0], above[0] - len(meets), -1))
    assert ask(client, share=0)[0] == list(range(NUMBER, NUMBER - 60, -1))
    numbers, found = ask(client, share=1)
    assert numbers == list(range(60, 0, -1))
    assert (found["older"], bool(found["newer"])) == ("", True)
    assert ask(client, share=0.5, q="method:PUT")[0] == []


def test_a_namespaces_viewer(client: httpx.Client, served: Served) -> None:
    served.runtime.store.write(incoming(exchange(900, namespace="edge"), exchange(901)))
    bounded(served, "edge")
    for given in ({}, {"share": 0.5}, {"share": 1}, {"newer": "newest.1.1"}):
        assert ask(client, **given)[0] == [900]


@pytest.mark.parametrize(
    "given",
    [
        {"share": "2"}, {"share": "x"}, {"older": "x"}, {"newer": "oldest.1"}, {"q": "hots:a"},
        {"older": "newest.1.1", "newer": "newest.1.1"},
    ],
)  # fmt: skip
def test_what_makes_no_sense(client: httpx.Client, given: dict[str, str]) -> None:
    assert client.get("/captures/rows", params=given).status_code == 422


def test_it_is_for_who_signed_in(served: Served) -> None:
    assert served.bare.get("/captures/rows").status_code == 303
    by_script = served.bare.get("/captures/rows", headers={"hx-request": "true"})
    assert by_script.headers["hx-redirect"].startswith("/login")
