"""app/inject/own_ca.py: which files can be copied, and how the init container gets them."""

import pytest

from app.contract import names
from app.inject import own_ca
from tests.unit.app.inject.test_pod import inject, pod, settings

MOUNT = {"name": "v", "mountPath": "/c", "mountPropagation": "None", "subPath": "x"}


@pytest.mark.parametrize(
    ("volume", "can"),
    [({"configMap": {}}, True), ({"secret": {}}, True), ({"persistentVolumeClaim": {}}, True),
     ({"emptyDir": {}}, False), ({"image": {}}, False), ({}, False)],
)  # fmt: skip
def test_only_what_is_there_before_any_container_runs(volume, can):
    assert (own_ca.copy("/c/ca.pem", MOUNT, volume, 0) is not None) == can
    assert own_ca.copy("/c/ca.pem", MOUNT | {"subPathExpr": "$(A)"}, volume, 0) is None


def test_the_container_mounts_the_volumes_and_is_told_the_files():
    given = pod(volumes=[{"name": "v", "configMap": {"name": "ca"}}])
    given["metadata"]["annotations"] = {names.ANNOTATION_OWN_CA: "append"}
    given["spec"]["containers"][0] |= {
        "volumeMounts": [{"name": "v", "mountPath": "/c"}],
        "env": [{"name": "SSL_CERT_FILE", "value": "/c/ca.pem"}],
    }
    done = inject(given, settings())
    assert [r.id for r in done.reasons] == ["own_ca_appended"]
    made = done.pod["spec"]["initContainers"][2]
    assert made["name"] == names.CONTAINER_OWN_CA
    assert made["args"] == [
        "--copy", "/own/0/ca.pem", "/c/ca.pem", f"{names.MOUNT_TRUST}/own/0.pem",
    ]  # fmt: skip
    assert {"name": "v", "mountPath": "/own/0", "readOnly": True} in made["volumeMounts"]
    assert made["securityContext"]["runAsNonRoot"]


def test_without_a_file_there_is_no_container():
    given = pod()
    given["metadata"]["annotations"] = {names.ANNOTATION_OWN_CA: "append"}
    done = inject(given, settings())
    ours = [c["name"] for c in done.pod["spec"]["initContainers"]]
    assert names.CONTAINER_OWN_CA not in ours
