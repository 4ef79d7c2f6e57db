"""Sets our MutatingWebhookConfiguration's caBundle: the CAs that the API server accepts us with.

The chart never renders it, so that no upgrade removes it; each replica of the injector sets it at
its start and whenever it differs.
"""

import base64
from typing import Any

from app.cluster.kube import JSON_PATCH, KubeApi, KubeError, path

_TRIES = 3  # attempts, as others write the object too


def trust(api: KubeApi, configuration: str, ca: bytes) -> bool:
    """Sets `ca` (PEM) as the caBundle of every webhook in the configuration; True if that changed
    anything. Raises KubeError."""
    place = path(
        "apis", "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", configuration
    )
    wanted = base64.b64encode(ca).decode()
    for left in reversed(range(_TRIES)):
        found = api.get(place)
        patch: list[dict[str, Any]] = [
            {
                "op": "add",
                "path": f"/webhooks/{n}/clientConfig/caBundle",
                "value": wanted,
            }
            for n, webhook in enumerate(found.get("webhooks") or ())
            if webhook["clientConfig"].get("caBundle") != wanted
        ]
        if not patch:
            return False
        # The indexes above are only valid in this version: a newer one must refuse the patch.
        version = found["metadata"]["resourceVersion"]
        patch.insert(0, {"op": "test", "path": "/metadata/resourceVersion", "value": version})
        try:
            api.request("PATCH", place, patch, content_type=JSON_PATCH)
        except KubeError as e:
            if e.status not in (409, 422) or not left:
                raise
        else:
            return True
    return False
