"""addon/redirect/routes.py: ours are added and removed, and nobody else's ever."""

import pytest

from addon.redirect.routes import is_ours
from tests import netns

OWN = {"type": "local", "dst": "192.0.2.1", "dev": "lo", "table": "local", "protocol": "116"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"type": "unicast"}, False),
        ({"dev": "eth0"}, False),
        ({"table": "116"}, False),
        ({"protocol": "kernel"}, False),
    ],
)
def test_a_route_is_ours_by_its_mark_and_its_place(change: dict[str, str], expected: bool) -> None:
    assert is_ours(OWN | change) is expected
    assert not is_ours({"dst": "default", "dev": "lo"})


PRELUDE = """
import subprocess
from ipaddress import ip_address as a
from addon.redirect import routes, tool
def listed():
    return [subprocess.run(["ip", f"-{v}", "route", "show", "table", "all"], check=True,
                           capture_output=True, text=True).stdout for v in (4, 6)]
"""


@pytest.mark.root
def test_what_is_put_is_all_there_is_of_ours_and_goes_again() -> None:
    netns.require()
    out = netns.run(
        PRELUDE
        + """
before = listed()
routes.put([a("192.0.2.1"), a("192.0.2.2"), a("100::1")])
print(sorted(map(str, routes.ours(4))), sorted(map(str, routes.ours(6))))
routes.put([a("192.0.2.2"), a("198.51.100.1")])
print(sorted(map(str, routes.ours(4))), sorted(map(str, routes.ours(6))))
routes.put([])
routes.put([])
print(listed() == before)
"""
    ).splitlines()
    assert out == [
        "['192.0.2.1', '192.0.2.2'] ['100::1']",
        "['192.0.2.2', '198.51.100.1'] []",
        "True",
    ]


@pytest.mark.root
def test_a_route_of_somebody_elses_is_neither_replaced_nor_removed() -> None:
    """An address of the machine, and routes that somebody made by hand."""
    netns.require()
    out = netns.run(
        PRELUDE
        + """
before = listed()
for address in ("192.0.2.1", "198.51.100.1", "2001:db8::1"):
    try:
        routes.put([a(address)])
    except tool.RedirectError as e:
        print("File exists" in str(e))
routes.put([])
print(listed() == before)
""",
        network=[
            "addr add 192.0.2.1/32 dev lo",
            "route add local 198.51.100.1 dev lo",
            "-6 route add local 2001:db8::1 dev lo",
            "-6 addr add 2001:db8::2/128 dev lo",
        ],
    ).splitlines()
    assert out == ["True"] * 4
