"""The caBundle of our MutatingWebhookConfiguration: whom the API server trusts when it calls us.

The chart never renders it, so that no upgrade takes it away; each replica of the injector puts it
there at its start and whenever it differs.
"""

import base64
from typing import Any

from app.cluster.kube import JSON_PATCH, KubeApi, KubeError, path

_TRIES = 3  # when others write the object too


def trust(api: KubeApi, configuration: str, ca: bytes) -> bool:
    """Every entry of the webhook configuration trusts `ca` (PEM) afterwards; says whether that had
    to be written. Raises KubeError."""
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
        # The numbers above are those of this version; of another one the patch is refused.
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
