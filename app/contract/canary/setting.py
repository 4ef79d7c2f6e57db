"""The sidecar's setting for it: the file of one run, or what identifies a pod."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.contract.canary.spec import Canary, Spec, load
from app.contract.settings import Setting, SettingError, listed

POD = "pod"
SETTING = Setting(
    "TELEMOCK_CANARY", "", str,
    "Known values that are looked for in everything that is sent, before it is masked: `pod` for "
    "what identifies the pod, or the file that `telemock run --canary` writes for one run. Records "
    "then name the source, the field and the way, and never the value.", "pod, or a file",
)  # fmt: skip
# What the injector gives a sidecar beside the variables that stand in every record.
ENV_IP, ENV_ACCOUNT, ENV_IMAGES = "POD_IP", "POD_SERVICE_ACCOUNT", "POD_IMAGES"
FIELDS = {ENV_ACCOUNT: "spec.serviceAccountName"}  # the IP is there anyway
SOURCES = (
    "host name", "workload", "namespace", "pod UID", "node", "pod IP", "service account", "image",
)  # fmt: skip
_GENERATED = re.compile(
    r"(?:(?:-[0-9a-z]{6,10})?-[0-9a-z]{5}|-\d+)$"
)  # a Deployment's, a StatefulSet's


def canaries(value: str, environ: Mapping[str, str]) -> Spec | None:
    """None where nothing is looked for. Raises SettingError."""
    if not value:
        return None
    if value == POD:
        return Spec(tuple(_of_pod(environ)))
    try:
        return load(Path(value))
    except (OSError, ValueError) as e:
        raise SettingError(
            f"{SETTING.name} is {value!r}, expected {SETTING.wanted}: {e}\n\nhint: {SETTING.help}"
        ) from None


def _of_pod(environ: Mapping[str, str]) -> Iterator[Canary]:
    """The pod's names as the application has them, too."""
    name, namespace = environ.get("POD_NAME", ""), environ.get("POD_NAMESPACE", "")
    owner = _GENERATED.sub("", name) if name else ""
    for source, *values in (
        ("host name", name, f"{namespace}/{name}" if name and namespace else ""),
        ("workload", owner if owner != name else ""),
        ("namespace", namespace),
        ("pod UID", environ.get("POD_UID", "")),
        ("node", environ.get("NODE_NAME", "")),
        ("pod IP", environ.get(ENV_IP, "")),
        ("service account", environ.get(ENV_ACCOUNT, "")),
        *(("image", image) for image in listed(environ.get(ENV_IMAGES, ""))),
    ):
        if given := tuple(v for v in values if v):
            yield Canary(source, given)
