"""How much later an injected pod is ready than the same pod without a sidecar, in a cluster.

`python -m tests.bench.pod_start [--pods 9]` against the cluster of KUBECONFIG, which must have the
images of the end-to-end tests (`make e2e` loads them), helm and kubectl. Installs the chart, starts
pods of both kinds by turns, one at a time, and removes everything again.

A pod's time is from its creation to the condition Ready, as a client that polls the API server sees
it; Kubernetes itself tells whole seconds only.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from tests.e2e import pods
from tests.e2e.cluster import Cluster, ready, until
from tests.e2e.release import RELEASE, Release

PAUSE_S = 0.02


def seconds_to_ready(cluster: Cluster, pod: dict[str, Any]) -> float:
    """Creates the pod, waits for it, and has it removed."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    cluster.apply(pod)
    begun = time.monotonic()
    until(
        lambda: ready(cluster.get("v1", "Pod", name, namespace)),
        f"pod {name} is ready", 60, PAUSE_S,
    )  # fmt: skip
    taken = time.monotonic() - begun
    cluster.delete("v1", "Pod", name, namespace)
    until(lambda: not cluster.find("v1", "Pod", namespace), f"pod {name} is gone", 60)
    return taken


def measured(cluster: Cluster, namespace: str, count: int) -> dict[str, list[float]]:
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {
        "plain": lambda n: pods.node(
            f"plain-{n}", namespace, labels={"telemock.io/inject": "disabled"}
        ),
        "injected": lambda n: pods.node(f"injected-{n}", namespace),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(-1, count):  # the first of each is not counted: layers are unpacked
        for kind, made in kinds.items():
            taken = seconds_to_ready(cluster, made(number + 1))
            if number >= 0:
                found[kind].append(taken)
    return found


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
    for kind, times in found.items():
        low, high = min(times), max(times)
        print(f"{kind}: {statistics.median(times):.2f} s ({low:.2f} to {high:.2f}, n={len(times)})")
    later = [a - b for a, b in zip(found["injected"], found["plain"], strict=True)]
    print(f"later: {statistics.median(later):.2f} s ({min(later):.2f} to {max(later):.2f})")


if __name__ == "__main__":
    main()
