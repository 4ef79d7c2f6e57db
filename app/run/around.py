"""Looks at the command's own connections while it is not transparent: those that go round the
proxy are named. A connection that is shorter than a step is missed, so this proves no absence.

`app.run.perform` asks; Linux only.
"""

import os
import threading
from collections import Counter
from collections.abc import Collection
from ipaddress import ip_address

from app.contract import processes
from app.contract.record import Program, bracketed
from app.run.interception import ROUND, Passed

_STEP_S = 0.1


class Around:
    """`own` are our children, whose connections are not the command's."""

    def __init__(self, own: Collection[int]) -> None:
        self._own = own
        self._seen: dict[int, Passed] = {}  # by the socket's inode
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="telemock-look", daemon=True)
        self._thread.start()

    def stop(self) -> Counter[Passed]:
        self._over.set()
        self._thread.join()
        return Counter(self._seen.values())

    def _look(self) -> None:
        while not self._over.wait(_STEP_S):
            open_ = {
                row.inode: row.peer
                for row in processes.tcp()
                if row.inode
                and row.state in (processes.ESTABLISHED, processes.SYN_SENT)
                and row.inode not in self._seen
                and not ip_address(row.peer[0]).is_loopback
            }
            if open_:
                self._attribute(open_)

    def _attribute(self, open_: dict[int, processes.Address]) -> None:
        spared = {pid for each in self._own for pid in (each, *processes.descendants(each))}
        for pid in processes.descendants(os.getpid()):
            for inode in () if pid in spared else processes.sockets_of(pid) & open_.keys():
                address, port = open_[inode]
                program = Program(processes.name_of(pid), pid)
                self._seen[inode] = Passed(ROUND, program, f"{bracketed(address)}:{port}")
