"""How much later an injected pod starts than the same pod without a sidecar, in a cluster.

`python -m tests.bench.pod_start [--pods 9]` against the cluster of KUBECONFIG, which must have the
images of the end-to-end tests (`make e2e` loads them), helm and kubectl. Installs the chart, starts
pods of all kinds by turns, one at a time, and removes everything again.

Two times count from when the pod is asked for. Its program *runs* when the container writes its
first line, as the node's clock says (where that differs from ours, all kinds are wrong by the
same). It is *ready* when a client that polls the API server sees that condition; Kubernetes itself
tells whole seconds only. The kubelet looks at its containers once a second, so a pod comes at a
moment by chance, or all would meet the same part of that second.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tests.e2e import pods
from tests.e2e.cluster import Cluster, ready, until
from tests.e2e.release import RELEASE, Release

PAUSE_S = 0.02
PLAIN = "plain"
REDIRECTS = ("hosts", "loopback", "all")


class Start(NamedTuple):
    """Seconds."""

    runs: float
    ready: float


def node(kind: str, number: int, namespace: str) -> dict[str, Any]:
    name = f"{kind}-{number}"
    if kind == PLAIN:
        return pods.node(name, namespace, labels={"telemock.io/inject": "disabled"})
    return pods.node(name, namespace, annotations={"redirect": kind})


def started(cluster: Cluster, pod: dict[str, Any]) -> Start:
    """Creates the pod, waits for it, and has it removed."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    time.sleep(random.random())
    asked, begun = time.time(), time.monotonic()
    cluster.apply(pod)
    until(
        lambda: ready(cluster.get("v1", "Pod", name, namespace)),
        f"pod {name} is ready", 60, PAUSE_S,
    )  # fmt: skip
    taken = time.monotonic() - begun
    log = cluster.logs(pod, pod["spec"]["containers"][0]["name"], timestamps=True)
    cluster.delete("v1", "Pod", name, namespace)
    until(lambda: not cluster.find("v1", "Pod", namespace), f"pod {name} is gone", 60)
    return Start(first_line_at(log) - asked, taken)


def first_line_at(log: str) -> float:
    """Seconds since 1970, of a log whose lines begin with their times."""
    return datetime.fromisoformat(log.split(" ", 1)[0]).timestamp()


def measured(cluster: Cluster, namespace: str, count: int) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {kind: [] for kind in (PLAIN, *REDIRECTS)}
    for number in range(-1, count):  # the first of each is not counted: layers are unpacked
        for kind, starts in found.items():
            start = started(cluster, node(kind, number + 1, namespace))
            if number >= 0:
                starts.append(start)
    return found


def told(found: Mapping[str, Sequence[Start]]) -> list[str]:
    """A line for each time and kind: the median, and how much later than the plain pod of the same
    turn; in brackets the least and the most."""
    lines = []
    for what in Start._fields:
        plain = [getattr(s, what) for s in found[PLAIN]]
        for kind, starts in found.items():
            times = [getattr(s, what) for s in starts]
            later = [a - b for a, b in zip(times, plain, strict=True)]
            line = f"{what} {kind}: {_spread(times)}"
            lines.append(line if kind == PLAIN else f"{line}, later by {_spread(later)}")
    return lines


def _spread(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pod_start", description=__doc__)
    parser.add_argument("--pods", type=int, default=9, help="of each kind")
    given = parser.parse_args()
    cluster = Cluster()
    release = Release(cluster, RELEASE)
    release.helm("uninstall", release.name, "--wait", check=False)
    cluster.remove_namespaces(wait=True)
    cluster.make_namespace(release.namespace)
    try:
        tag = os.environ.get("TAG", "")
        image = {"app": {"tag": tag}, "sidecar": {"tag": tag}} if tag else {}
        release.upgrade({"mode": "mock", "image": image})
        release.rolled_out()
        namespace = cluster.make_namespace(f"{release.name}-starts", inject="enabled")
        found = measured(cluster, namespace, given.pods)
    finally:
        release.helm("uninstall", release.name, "--wait", check=False)
        cluster.remove_namespaces(wait=False)
        cluster.close()
    print(*told(found), f"n = {given.pods} of each kind", sep="\n")


if __name__ == "__main__":
    main()
