"""Injection: the one description of a sidecar in a pod, for the webhook and for manifests.

`pod` is the pure function; `webhook`, `server`, `namespaces`, `events` and `ca_bundle` are the
injector's process; `manifest` and `snippet` work without a webhook.
"""

from app.inject.patch import patch
from app.inject.pod import Injection, inject
from app.inject.settings import InjectSettings, NamespaceFacts

__all__ = ["InjectSettings", "Injection", "NamespaceFacts", "inject", "patch"]
