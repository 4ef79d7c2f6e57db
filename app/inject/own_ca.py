"""Copies of certificate files that applications bring, with the sidecar's certificate added: the
annotation asks for them, and an init container of ours makes them.

Only of files in a volume: our container sees no application's image. `app.inject.containers` finds
them, `app.inject.sidecar` describes the container, `addon.tls.append` is what it runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.contract import names

Object = dict[str, Any]

APPEND = "append"  # the annotation's only value
FOLDER = f"{names.MOUNT_TRUST}/own"  # the copies
_MOUNTS = "/own"  # volumes of applications, in our container
# Volumes that hold the file before any container of the pod runs.
_FILLED = ("configMap", "secret", "projected", "persistentVolumeClaim", "hostPath", "nfs", "csi")


class Copy(NamedTuple):
    """`original` is the path in the application, `number` tells the copies of a pod apart."""

    original: str
    number: int
    mount: Object

    @property
    def target(self) -> str:
        return f"{FOLDER}/{self.number}.pem"

    @property
    def source(self) -> str:
        """The path in our container."""
        below = self.original.removeprefix(str(self.mount["mountPath"]).rstrip("/"))
        return f"{_MOUNTS}/{self.number}{below}"

    def own_mount(self) -> Object:
        kept: Object = {key: self.mount[key] for key in ("name", "subPath") if key in self.mount}
        return {**kept, "mountPath": f"{_MOUNTS}/{self.number}", "readOnly": True}


def copy(original: str, mount: Object, volume: Mapping[str, Any], number: int) -> Copy | None:
    """None if the file cannot be read before the application starts."""
    if "subPathExpr" in mount or not any(kind in volume for kind in _FILLED):
        return None
    return Copy(original, number, mount)


def arguments(copies: Iterable[Copy]) -> list[str]:
    return [word for one in copies for word in ("--copy", one.source, one.original, one.target)]


def mounts(copies: Sequence[Copy]) -> list[Object]:
    return [one.own_mount() for one in copies]
