"""Every sentence that `telemock status` can say of a pod or a workload, besides the reasons of
`app.inject.reasons`: one table. Used by `app.inject.status` and `app.inject.workloads`.
"""

from collections.abc import Mapping

from app.contract import names
from app.escape import plain

_CAP = 600  # characters of a value

# Id -> sentence. `{restart}` is "restart it", with the command where there is one.
SENTENCES: Mapping[str, str] = {
    # A pod without a sidecar, or none yet.
    "unseen": "no injector saw this pod: it is older than the opt-in, or no injector answered when "
    "it started; {restart}",
    "not_made": "its pods cannot be made: {message}",
    "unscheduled": "no node takes it: {message}",
    "evicted": "the node evicted it: {message}",
    # One of our containers does not run.
    "image": "the node cannot get the image {image} of the container {container}: {message}; push "
    "it to where the node looks, or give the pod imagePullSecrets of its namespace",
    "container": "the container {container} does not start: {message}",
    "redirect_failed": "the redirect failed: {message}",
    "port_in_use": "the container {container} cannot listen: {message}; redirect loopback has the "
    f"ports 80 and 443 of loopback addresses: use {names.ANNOTATION_REDIRECT}: hosts, or declare "
    "the port in the container, so that the pod is left alone",
    "restarts": "its sidecar ended {count} unasked and was started again: {logs}",
    # What is not seen, and what is not delivered.
    "stale_hosts": "the profiles name hosts, or ports of hosts, that this pod was made without, "
    "and does not redirect: {hosts}; {restart}",
    "refused": "clients refused the sidecar's certificate {count}, and what they sent is "
    f"not seen: the annotation {names.ANNOTATION_TRUST} adds what their runtime needs",
    "missing": "{count} of its records have not arrived: {lost}",
    "dropped": "its sidecar lost {count}: {logs}",
    "old_authority": "it trusts an authority that the app no longer shows: its records will not be "
    "delivered; {restart}",
    # The sidecar's trouble with the app, by the words of its metric telemock.app.trouble.
    "unreachable": "its sidecar cannot reach the app, and holds {waiting}",
    "distrusted": "its sidecar does not trust the app's certificate, and holds {waiting}: "
    "the app had another authority when the pod was injected; {restart}",
    "unauthorized": "the app does not accept its sidecar's token, and it holds {waiting}: the "
    "app's log says why",
    "full": "the app's disk is full, and the pod holds {waiting}",
    "error": "the app does not take what its sidecar sends, and it holds {waiting}: the app's "
    "log says why",
}
TROUBLES = ("unreachable", "distrusted", "unauthorized", "full", "error")


def say(id: str, **values: object) -> str:
    """Fills in the values, which come from the cluster: escapes unprintable characters. An unknown
    id, of another version, is said as it is."""
    text = SENTENCES.get(id)
    if text is None:
        return plain(id, _CAP)
    shown = {name: plain(" ".join(str(v).split()), _CAP) for name, v in values.items()}
    return text.format_map(shown)
