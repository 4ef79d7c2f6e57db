"""Routes to the dummy addresses, so that they work where there is no other route: `local` ones, on
loopback. They bear a mark, by which they are found again after any end of who made them, and by
which no route of the machine's own is ever taken for one of them.

`addon.redirect` adds and removes them.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from addon.redirect import tool
from app.contract.dummies import Address

# The route's "protocol", that is who made it. Free in iproute2's and FRR's lists; the kernel heeds
# it in deletions.
PROTOCOL = "116"
_OURS = ("dev", "lo", "table", "local", "proto", PROTOCOL)


def is_ours(row: dict[str, Any]) -> bool:
    """Of a row of `ip -j route show table all`."""
    return (
        row.get("type") == "local"
        and row.get("protocol") == PROTOCOL
        and row.get("table") == "local"
        and row.get("dev") == "lo"
    )


def ours(version: int) -> set[Address]:
    """The addresses that lead here. Raises RedirectError."""
    listed = tool.rows(f"-{version}", "route", "show", "table", "local")
    return {ip_address(row["dst"]) for row in listed if is_ours({"table": "local", **row})}


def put(addresses: Sequence[Address]) -> None:
    """Makes these the only ones of ours; what is there already stays as it is.

    Raises RedirectError; then only some of it may be done. Never takes the place of a route of
    somebody else's: the kernel refuses a second one to the same address.
    """
    for version in tool.families():
        wanted = {a for a in addresses if a.version == version}
        there = ours(version)
        _change(version, "add", wanted - there)
        _change(version, "del", there - wanted)


def _change(version: int, verb: str, addresses: Iterable[Address]) -> None:
    lines = [
        " ".join(("route", verb, "local", str(address), *_OURS)) + "\n"
        for address in sorted(addresses, key=int)
    ]
    if lines:
        tool.run("ip", f"-{version}", "-batch", "-", text="".join(lines))
