"""addon/mitm/overrun.py: who is told of what a layer ended."""

from mitmproxy.connection import Client
from mitmproxy.proxy.context import Context

from addon.mitm import overrun
from addon.mitm.upstream import Client as Http1Client


def test_the_last_who_listens_is_told(context: Context) -> None:
    first: list[tuple[str, Client]] = []
    last: list[tuple[str, Client]] = []
    for told in (first, last):
        overrun.listen(lambda bound, client, told=told: told.append((bound, client)))
    overrun.exceeded("held", Http1Client(context))
    assert (first, last) == ([], [("held", context.client)])
    overrun.listen(lambda bound, client: None)
