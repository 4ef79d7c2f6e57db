"""The accepting side's view of the addon: `addon.connections` answers and hears it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from addon.arrive.splice import Link
from addon.target.dns import Address
from app.contract.faults import HostFault
from app.contract.record import Program

if TYPE_CHECKING:
    from addon.arrive.direct import DirectConnection


class ConnectionEvents(Protocol):
    """The questions and events of accepted connections."""

    # True if a profile names the host.
    def names(self, host: str) -> bool: ...
    # True if a rule takes what is no HTTP at one of these hosts, on this port.
    def takes_lines(self, hosts: Iterable[str], port: int) -> bool: ...
    # The program that made the connection, on a laptop.
    def program(self, peer: Address, to: Address) -> Program | None: ...
    # True once the time is over in which redirected connections are read.
    def unread(self) -> bool: ...
    # True if one of these hosts refuses what cannot be judged.
    def fails_closed(self, hosts: Iterable[str]) -> bool: ...
    # The failure that connections to the host meet now, in a rehearsal.
    def failure(self, host: str) -> HostFault | None: ...
    # Told of each redirected connection; `counted` if it belongs in the metric.
    def arrived(self, *, counted: bool = True) -> None: ...
    # Records that the connection brought no request.
    def ended(self, connection: "DirectConnection", how: str) -> None: ...
    # Counts and records that a bound ended the connection.
    def evicted(self, connection: "DirectConnection", bound: str) -> None: ...
    # Records a relayed connection. Called in the splicer's thread.
    def left(self, link: Link) -> None: ...
