"""Routes to the dummy addresses, so that they work without any other route: `local` ones, on
loopback. A mark identifies them however their maker ended, and keeps the machine's own routes from
being taken for one of them.

`addon.redirect` adds and removes them.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from addon.redirect import tool
from app.contract.dummies import Address

# The route's "protocol", that is its maker. Unused in iproute2's and FRR's lists; the kernel heeds
# it in deletions.
PROTOCOL = "116"
_OURS = ("dev", "lo", "table", "local", "proto", PROTOCOL)


def is_ours(row: dict[str, Any]) -> bool:
    """True if a row of `ip -j route show table all` is one of our routes."""
    return (
        row.get("type") == "local"
        and row.get("protocol") == PROTOCOL
        and row.get("table") == "local"
        and row.get("dev") == "lo"
    )


def ours(version: int) -> set[Address]:
    """The addresses with a route of ours. Raises RedirectError."""
    listed = tool.rows(f"-{version}", "route", "show", "table", "local")
    return {ip_address(row["dst"]) for row in listed if is_ours({"table": "local", **row})}


def put(addresses: Sequence[Address]) -> None:
    """Makes these our only routes; those that exist stay as they are.

    Raises RedirectError; then only a part may be done. Never replaces somebody else's route: the
    kernel refuses a second one to the same address.
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
