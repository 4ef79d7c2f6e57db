"""Changes the pod's other containers: they trust the sidecar's certificate, and bypass their proxy
for the redirected hosts. Variables that they set themselves stay.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from app.contract import names
from app.inject.own_ca import APPEND, FOLDER, Copy, copy
from app.inject.reasons import Reason, of, reason
from app.trust import ADDED, ALL_PROXIES, REPLACED

Object = dict[str, Any]

CA_VARIABLE = "NODE_EXTRA_CA_CERTS"
# Kinds of volumes that a container can write to.
_WRITABLE = ("emptyDir", "persistentVolumeClaim", "hostPath", "ephemeral", "csi", "nfs")
_NO_PROXIES = ("NO_PROXY", "no_proxy")


class _Said(NamedTuple):
    """A remark about one container: the reason's id, and what the container does ("set X")."""

    id: str
    verb: str
    rest: str = ""


def connect(
    containers: Sequence[Object],
    trust: Sequence[str],
    hosts: Sequence[str],
    volumes: Sequence[Object] = (),
    *,
    appends: bool = False,
) -> tuple[list[Reason], list[Copy]]:
    """Changes the containers; returns remarks about some of them, and the copies of their own files
    to make if it `appends`. `trust` names variables to set besides NODE_EXTRA_CA_CERTS, `volumes`
    are the pod's own."""
    found: dict[_Said, list[str]] = {}
    copies: list[Copy] = []
    for container in containers:
        appended: list[_Said] = []
        wanted = list(trust)
        if appends:
            wanted += [str(v["name"]) for v in _variables(container, (*ADDED, *REPLACED))]
            appended += _append(container, volumes, copies)
        trusting = _trusting(container, wanted, volumes)
        for said in (*appended, *trusting, *_unproxied(container, hosts)):
            found.setdefault(said, []).append(str(container.get("name", "")))
    reasons = [reason(said.id, of(who, said.verb) + said.rest) for said, who in found.items()]
    if replaced := [name for name in trust if name not in ADDED]:
        reasons.append(reason("trust_replaced", ", ".join(replaced)))
    return reasons, copies


def _append(container: Object, volumes: Sequence[Object], copies: list[Copy]) -> Iterator[_Said]:
    """Names copies in the place of the container's own files, where such copies can be made."""
    if names.MOUNT_TRUST in _mount_paths(container):
        return
    for variable in _variables(container, (*ADDED, *REPLACED)):
        file = str(variable.get("value") or "")
        mount, volume = _mounted(container, file, volumes)
        if mount and (made := copy(file, mount, volume, len(copies))):
            copies.append(made)
            variable["value"] = made.target
            yield _Said("own_ca_appended", "set", f" {variable['name']} to {file}")


def _trusting(container: Object, trust: Sequence[str], volumes: Sequence[Object]) -> list[_Said]:
    said = []
    mounts = list(container.get("volumeMounts") or ())
    at = _mount_paths(container)
    if "/etc/hosts" in at:
        said.append(_Said("own_hosts_file", "mount"))
    if names.MOUNT_TRUST in at:
        return [*said, _Said("mount_taken", "mount")]
    ours = {"name": names.VOLUME_TRUST, "mountPath": names.MOUNT_TRUST, "readOnly": True}
    container["volumeMounts"] = [*mounts, ours]
    if container.get("envFrom"):
        said.append(_Said("env_from", "take"))
    for name in dict.fromkeys((CA_VARIABLE, *trust)):
        own = _variables(container, (name,))
        if own and str(own[-1].get("value")).startswith(f"{FOLDER}/"):
            continue
        if own:
            remedy = _remedy(container, str(own[-1].get("value") or ""), volumes)
            said.append(_Said("own_ca", "set", f" {name}, which stays{remedy}"))
        else:
            file = names.FILE_CA_CERT if name in ADDED else names.FILE_BUNDLE
            _add(container, name, f"{names.MOUNT_TRUST}/{file}")
    return said


def _remedy(container: Object, file: str, volumes: Sequence[Object]) -> str:
    """Says what becomes of a certificate file of the application's own."""
    mount, volume = _mounted(container, file, volumes)
    if not file.startswith("/"):
        return ": mount a file with both certificates, and name it there"
    if not mount:
        return f": {file} is the image's, so mount a file with both certificates, and name it there"
    if copy(file, mount, volume, 0):
        return f": the annotation {names.ANNOTATION_OWN_CA}: {APPEND} adds it to a copy of {file}"
    if mount.get("readOnly") or not any(kind in volume for kind in _WRITABLE):
        name = mount.get("name")
        return f": {file} is in the read-only volume {name}, so put both certificates into that"
    added = f"{names.MOUNT_TRUST}/{names.FILE_CA_CERT}"
    return f": let it begin with `cat {added} >> {file}`, as it can write there"


def _mounted(container: Object, file: str, volumes: Sequence[Object]) -> tuple[Object, Object]:
    """The mount and the volume that hold this file; empty if it is the image's."""
    at = [m for m in container.get("volumeMounts") or () if _holds(m.get("mountPath"), file)]
    if not at:
        return {}, {}
    mount = max(at, key=lambda m: len(str(m.get("mountPath"))))
    return mount, next((v for v in volumes if v.get("name") == mount.get("name")), {})


def _mount_paths(container: Object) -> list[str]:
    return [str(m.get("mountPath", "")).rstrip("/") for m in container.get("volumeMounts") or ()]


def _holds(folder: object, file: str) -> bool:
    return file == folder or file.startswith(f"{str(folder).rstrip('/')}/")


def _unproxied(container: Object, hosts: Sequence[str]) -> list[_Said]:
    """Adds the hosts to NO_PROXY: a client would send them to its proxy, and ignore /etc/hosts."""
    proxies = [
        v for v in _variables(container, ALL_PROXIES) if v.get("valueFrom") or v.get("value")
    ]
    if not proxies or not hosts:
        return []
    given = _variables(container, _NO_PROXIES)
    if given:
        readable = [v for v in given if "valueFrom" not in v]
        for variable in readable:
            variable["value"] = _with(str(variable.get("value") or ""), hosts)
        whole = len(readable) == len(given)
    else:
        # A variable from a ConfigMap would be overwritten by ours.
        whole = all("valueFrom" not in v for v in proxies) and not container.get("envFrom")
        if whole:
            for name in _NO_PROXIES:
                _add(container, name, _with("", hosts))
    return [_Said("proxied" if whole else "proxy_unreadable", "use" if whole else "take")]


def _with(no_proxy: str, hosts: Sequence[str]) -> str:
    listed = {part.strip().lower() for part in no_proxy.split(",")}
    if "*" in listed:
        return no_proxy
    missing = [host for host in hosts if host not in listed]
    return ",".join([*filter(None, [no_proxy.rstrip(", ")]), *missing])


def _variables(container: Object, wanted: Sequence[str]) -> list[Object]:
    return [v for v in container.get("env") or () if v.get("name") in wanted]


def _add(container: Object, name: str, value: str) -> None:
    container["env"] = [*(container.get("env") or ()), {"name": name, "value": value}]
