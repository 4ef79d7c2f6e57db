"""Finds ranges for dummy addresses that are free on this machine.

`addon.redirect` calls it before it changes anything.
"""

from collections.abc import Sequence

from addon.redirect import used
from addon.redirect.ruleset import Dummy
from addon.redirect.tool import RedirectError
from app.contract import dummies as pool

_SAID = 4  # uses that an error names per range


def choose(hosts: Sequence[str], ranges: Sequence[pool.Network]) -> str:
    """Addresses for these hosts from the first free range of each family, in the form of
    TELEMOCK_HOSTS. Raises RedirectError if none is free."""
    found = used.uses()
    taken = {network: used.colliding(network, found) for network in ranges}
    try:
        chosen = pool.choose(ranges, lambda network: not taken[network])
    except pool.NoRange as e:
        lines = [
            f"  {network}: {_some(what)}"
            for network, what in taken.items()
            if f"IPv{network.version}" == str(e)
        ]
        raise RedirectError(
            "\n".join([f"no range of {e} for dummy addresses is free on this machine:", *lines])
            + f"\n\nhint: set {pool.SETTING} to {pool.WANTED}, that this machine does not use"
        ) from None
    return pool.mapped(pool.assign(hosts, chosen))


def check(dummies: Sequence[Dummy], ranges: Sequence[pool.Network]) -> None:
    """Raises RedirectError if the machine's own network uses any of the ranges in which these
    addresses lie."""
    found = used.uses({(str(d.address), d.host) for d in dummies})
    for network in dict.fromkeys(pool.range_of(d.address, ranges) for d in dummies):
        if what := used.colliding(network, found):
            known = dict.fromkeys((*ranges, *pool.NETWORKS))
            free = ", ".join(str(n) for n in known if not used.colliding(n, found))
            raise RedirectError(
                f"the range {network} of dummy addresses collides with what is in use here: "
                f"{_some(what)}\n\n"
                f"hint: set {pool.CHART_VALUE} of the chart, or {pool.SETTING}, to ranges of IPv4 "
                f"and IPv6 that are free here ({free or 'no built-in one is'}), and make the pod "
                "anew"
            )


def nobody(version: int) -> str:
    """An unused address, to which nothing is sent: at the end of a range of the pool, where no
    dummy address lies, and preferably of a range that is free here."""
    found = used.uses()
    ranges = [network for network in pool.NETWORKS if network.version == version]
    free = (network for network in ranges if not used.colliding(network, found))
    return str(next(free, ranges[0])[-2])


def _some(what: Sequence[str]) -> str:
    more = [f"{len(what) - _SAID} more"] if len(what) > _SAID else []
    return ", ".join([*what[:_SAID], *more])
