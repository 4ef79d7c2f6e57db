"""Records a pod's states while something is done to it, without a gap: an instant is seen too."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import Cluster, ready


class Seen:
    """Each state in its order, from the first time that it was ready."""

    def __init__(self) -> None:
        self.pod: list[bool] = []  # its Ready condition
        self.endpoint: list[bool] = []  # that it is in its Service


@contextmanager
def watching(cluster: Cluster, pod: Mapping[str, Any], service: str) -> Iterator[Seen]:
    meta, seen, over = pod["metadata"], Seen(), threading.Event()

    def served(found: dict[str, Any]) -> bool:
        mine = [e for e in found.get("endpoints") or () if e["targetRef"]["uid"] == meta["uid"]]
        return any(e["conditions"].get("ready") for e in mine)

    def watch(
        kind: tuple[str, str],
        which: dict[str, str],
        judge: Callable[[dict[str, Any]], bool],
        into: list[bool],
        begun: threading.Event,
    ) -> None:
        for event in cluster.watch(*kind, meta["namespace"], **which):
            state = event["type"] != "DELETED" and judge(event["raw_object"])
            if state or into:
                into.append(state)
                begun.set()
            if over.is_set():
                return

    looks = (
        (("v1", "Pod"), {"field_selector": f"metadata.name={meta['name']}"}, ready, seen.pod),
        (
            ("discovery.k8s.io/v1", "EndpointSlice"),
            {"label_selector": f"kubernetes.io/service-name={service}"},
            served,
            seen.endpoint,
        ),
    )
    begun = [threading.Event() for _ in looks]
    for look, event in zip(looks, begun, strict=True):
        threading.Thread(target=watch, args=(*look, event), daemon=True).start()
    assert all(event.wait(30) for event in begun), "the watch did not begin"
    try:
        yield seen
    finally:
        over.set()
