"""The tax: what each system leaves of the pod's other traffic (T1, T8).

All proxies run all the time; what changes from sample to sample is which connections the kernel
gives them. A repetition walks measure by measure through all systems within seconds.
"""

from collections.abc import Callable, Sequence

from tests.bench import client
from tests.bench.client import Load
from tests.bench.lab import BULK, WEB, Lab
from tests.bench.processes import Process, Started
from tests.bench.samples import Meter, Sample, Samples, rotated, tell
from tests.bench.systems import System

PART = "other"
CLOSELY = frozenset(("direct", "telemock hosts", "telemock loopback"))  # in every repetition

_Taken = Callable[[Lab, float], Load]

_TAKE: dict[str, _Taken] = {
    "bulk_tcp": lambda lab, s: client.push(lab, BULK, 80, streams=1, seconds=s),
    "bulk_tls": lambda lab, s: client.push(lab, BULK, 443, streams=8, seconds=s),
    "new_tls": lambda lab, s: client.http(
        lab, f"https://{WEB}/", connections=8, seconds=s, close=True
    ),
    "new_tcp": lambda lab, s: client.http(
        lab, f"http://{WEB}/", connections=8, seconds=s, close=True
    ),
    "keep_alive": lambda lab, s: client.http(lab, f"https://{WEB}/", connections=16, seconds=s),
    "p50": lambda lab, s: client.http(lab, f"https://{WEB}/", connections=1, seconds=s),
}


def measure(
    lab: Lab,
    systems: Sequence[System],
    servers: Sequence[Process],
    samples: Samples,
    *,
    repetitions: int,
    others: int,
    seconds: float,
) -> None:
    """`others`: repetitions of the systems that are not in CLOSELY."""
    running: dict[str, Started] = {}
    try:
        for system in systems:
            if system.start is not None:
                running[system.name] = system.start(lab, None)
        for rep in range(repetitions):
            now = [s for s in systems if s.name in CLOSELY or rep < others]
            for name, take in _TAKE.items():
                for system in rotated(now, rep):
                    lab.redirect(system.rules)
                    started = running.get(system.name)
                    proxy = started.process if started else None
                    samples.append(_sample(lab, system, proxy, servers, name, rep, take, seconds))
            tell(f"other traffic, repetition {rep + 1} of {repetitions}")
    finally:
        lab.redirect("")
        for started in running.values():
            started.process.stop()


def _sample(
    lab: Lab,
    system: System,
    proxy: Process | None,
    servers: Sequence[Process],
    name: str,
    rep: int,
    take: _Taken,
    seconds: float,
) -> Sample:
    tracked, packets, meter = lab.tracked(), lab.loopback_packets(), Meter(proxy, servers)
    load = take(lab, seconds)
    scale = 1e9 if name.startswith("bulk") else 1
    cpu, of_proxy = meter.per(load.operations / scale)
    lab.come_to_rest()
    return Sample(
        PART,
        system.name,
        name,
        rep,
        load.p50_ms if name == "p50" else load.rate / scale,
        cpu,
        of_proxy,
        lab.loopback_packets() - packets,
        {"tracked": lab.tracked() - tracked, "operations": load.operations},
        load.said,
    )
