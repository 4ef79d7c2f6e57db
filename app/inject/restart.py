"""Restarts workloads whose pods would get another sidecar when made anew. Used by `telemock
restart`.
"""

import time
from typing import NamedTuple

from app.cluster.kube import MERGE_PATCH, KubeApi
from app.contract.instant import iso
from app.inject.gather import OptedIn, authority_of, pods
from app.inject.status import injection_of, sidecar_of, trusts_another
from app.inject.workloads import Controller, owner

# What `kubectl rollout restart` sets: a new value makes all pods anew.
ANNOTATION = "kubectl.kubernetes.io/restartedAt"
_DONE = ("Succeeded", "Failed")


class Due(NamedTuple):
    """`controllers` with why; `by_hand` names pods of nobody who could make them anew."""

    controllers: dict[Controller, str]
    by_hand: list[str]


def due(api: KubeApi, namespace: str, opted_in: OptedIn) -> Due:
    """Finds what opted in and has pods that no injector saw, or that trust an authority of before.
    Raises KubeError."""
    authority = authority_of(api)
    found = Due({}, [])
    for pod in pods(api, namespace, opted_in):
        meta = pod["metadata"]
        ended = (pod.get("status") or {}).get("phase") in _DONE
        sidecar = sidecar_of(pod)
        if ended or "deletionTimestamp" in meta:
            continue
        if sidecar is None and not injection_of(pod).reasons:
            why = "its pods have no sidecar, as no injector saw them"
        elif sidecar is not None and trusts_another(sidecar, authority):
            why = "its pods trust an authority that the app no longer shows"
        else:
            continue
        controller = owner(meta)
        if controller is None:
            found.by_hand.append(f"pod {meta['namespace']}/{meta['name']}")
        else:
            found.controllers.setdefault(controller, why)
    return found


def restart(api: KubeApi, controller: Controller) -> None:
    """As `kubectl rollout restart`. Raises KubeError."""
    annotations = {ANNOTATION: iso(time.time_ns())}
    change = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    api.request("PATCH", controller.place, change, content_type=MERGE_PATCH)
