"""ServiceAccounts of a real API server, their rights and tokens, for tests of who may what."""

from typing import Any

from app.cluster.kube import KubeApi, Object, path

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def account(api: KubeApi, namespace: str, name: str) -> str:
    """Makes it; the name that RBAC and reviews know it by."""
    place = path("api", "v1", "namespaces", namespace, "serviceaccounts")
    api.request("POST", place, {"metadata": {"name": name}})
    return f"system:serviceaccount:{namespace}:{name}"


def token(
    api: KubeApi, namespace: str, name: str, audience: str = "", pod: Object | None = None
) -> str:
    """A token of that account, bound to `pod` if there is one."""
    spec: dict[str, Any] = {"audiences": [audience] if audience else [], "expirationSeconds": 600}
    if pod is not None:
        known = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", **known}
    place = path("api", "v1", "namespaces", namespace, "serviceaccounts", name, "token")
    made = api.request("POST", place, {"spec": spec})
    return str(made["status"]["token"])


def unscheduled_pod(api: KubeApi, namespace: str, name: str, account: str = "default") -> Object:
    """A pod that no node takes: it exists, and nothing runs."""
    spec = {
        "nodeSelector": {"telemock.test/no": "node"},
        "serviceAccountName": account,
        "containers": [{"name": "a", "image": "a:1"}],
    }
    place = path("api", "v1", "namespaces", namespace, "pods")
    return api.request("POST", place, {"metadata": {"name": name}, "spec": spec})


def allow(api: KubeApi, name: str, user: str, verbs: list[str], within: str = "") -> None:
    """A ClusterRole for these verbs on captures, bound everywhere or `within` one namespace; see
    `forbid`."""
    rule = {"apiGroups": ["telemock.io"], "resources": ["captures"], "verbs": verbs}
    api.request("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [rule]})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    api.request("POST", _bindings(within), binding)


def forbid(api: KubeApi, name: str, within: str = "") -> None:
    api.request("DELETE", f"{_bindings(within)}/{name}")
    api.request("DELETE", f"{RBAC}/clusterroles/{name}")


def _bindings(namespace: str) -> str:
    return (
        f"{RBAC}/namespaces/{namespace}/rolebindings"
        if namespace
        else f"{RBAC}/clusterrolebindings"
    )
