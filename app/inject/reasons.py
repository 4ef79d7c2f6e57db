"""The reasons for a pod without a sidecar, and remarks about one with it: one table.

`inject()` returns them; the pod's annotation and the metric show their ids; Events, the webhook's
warnings and the report of `telemock inject` show their sentences.
"""

from collections.abc import Iterable
from typing import NamedTuple

from app.contract import faults, names
from app.contract.dummies import CHART_VALUE, SETTING
from app.escape import plain


class ReasonRow(NamedTuple):
    """`skips`: the pod gets no sidecar. `quiet`: and no annotation or warning, as nobody asked for
    one. `blind`: it gets one that does not see everything."""

    sentence: str
    skips: bool = False
    quiet: bool = False
    blind: bool = False


def _skips(sentence: str) -> ReasonRow:
    return ReasonRow(sentence, skips=True)


def _quiet(sentence: str) -> ReasonRow:
    return ReasonRow(sentence, skips=True, quiet=True)


def _blind(sentence: str) -> ReasonRow:
    return ReasonRow(sentence, blind=True)


_LABEL = names.LABEL_INJECT
CHART_RESOURCES = "sidecar.resources and sidecar.redirectResources"

# {about} is the subject: a value, or names of containers.
REASONS = {
    # Nothing to do.
    "opted_out": _quiet(f"the pod's label {_LABEL} is {names.INJECT_DISABLED}"),
    "namespace_opted_out": _quiet(
        f"the namespace's label {_LABEL} is {names.INJECT_DISABLED}, and the pod has no such label"
    ),
    "already_injected": _quiet(
        "the pod already has a sidecar; to change it, start from a manifest without one"
    ),
    "mirror_pod": _quiet("the pod is a static one of its node, which no webhook can change"),
    # A label or annotation is invalid.
    "label_value": _skips(
        f"the label {_LABEL} is {{about}}, expected {names.INJECT_ENABLED} or "
        f"{names.INJECT_DISABLED}"
    ),
    "unknown_profile": _skips(f"the annotation {names.ANNOTATION_PROFILES} names {{about}}"),
    "mode_value": _skips(f"the annotation {names.ANNOTATION_MODE} is {{about}}"),
    "redirect_value": _skips(f"the annotation {names.ANNOTATION_REDIRECT} is {{about}}"),
    "trust_value": _skips(f"the annotation {names.ANNOTATION_TRUST} names {{about}}"),
    "all_until_value": _skips(
        f"the annotation {names.ANNOTATION_ALL_UNTIL} is {{about}}, expected a time such as "
        "2026-01-31T12:00:00Z, or how long from the pod's creation, such as 2h"
    ),
    "rehearse_value": _skips(
        f"the annotation {names.ANNOTATION_REHEARSE} is {{about}}, expected {faults.WANTED}; "
        f"faults are {faults.IDS}"
    ),
    "rehearse_mode": _skips(
        f"the annotation {names.ANNOTATION_REHEARSE} needs mode mock, and the mode is {{about}}; "
        f"{', '.join(faults.FAILURES)} do not"
    ),
    "rehearse_only": _skips(
        f"the annotation {names.ANNOTATION_REHEARSE} is of {{about}} alone, which no profile "
        "of the pod has: `telemock profiles show PROFILE` lists hosts and rules"
    ),
    "own_ca_value": _skips(f"the annotation {names.ANNOTATION_OWN_CA} is {{about}}"),
    "canary_value": _skips(f"the annotation {names.ANNOTATION_CANARY} is {{about}}"),
    "resources_value": _skips(f"the annotation {names.ANNOTATION_RESOURCES} is {{about}}"),
    "unknown_name": _skips("{about}"),
    # This pod cannot take a sidecar.
    "windows": _skips("the pod is for Windows nodes, the sidecar runs on Linux only"),
    "host_network": _skips(
        "the pod has hostNetwork: its redirect would be that of the whole node; take hostNetwork "
        "away, or block the telemetry hosts at the node"
    ),
    "net_admin_forbidden": _skips(
        "redirect {about} needs the capability NET_ADMIN, which the Pod Security level of this "
        f"namespace forbids; use {names.ANNOTATION_REDIRECT}: loopback, which needs none"
    ),
    "name_taken": _skips("the pod has {about}: these names are the sidecar's; give it another"),
    "port_taken": _skips("{about}, which the sidecar listens on; change the container's port"),
    "loopback_port_taken": _skips(
        "{about}, which redirect loopback needs on loopback addresses; use "
        f"{names.ANNOTATION_REDIRECT}: hosts, or another port in the container"
    ),
    "sysctl_taken": _skips(
        "the pod sets net.ipv4.ip_unprivileged_port_start to {about}, redirect loopback needs 80 "
        f"or less; use {names.ANNOTATION_REDIRECT}: hosts, or change it"
    ),
    "uid_taken": _skips(
        f"{{about}} as user {names.SIDECAR_UID}, whose traffic redirect all leaves out; use "
        "another user"
    ),
    "no_dummy_range": _skips(
        "the pod's own hostAliases or resolvers lie in all ranges for dummy addresses: {about}; "
        f"add one that is free to {CHART_VALUE} of the chart ({SETTING} of telemock inject)"
    ),
    "limit_range": _skips(
        f"{{about}}; change the LimitRange, or set {CHART_RESOURCES} of the chart, or the "
        f"annotation {names.ANNOTATION_RESOURCES}"
    ),
    "quota": _skips(
        f"{{about}}; raise the quota, or set {CHART_RESOURCES} of the chart, or the annotation "
        f"{names.ANNOTATION_RESOURCES}"
    ),
    "bounds_unknown": _skips(
        "whether this namespace's LimitRanges and ResourceQuotas allow a sidecar is not known: "
        "{about}"
    ),
    "no_hosts": _skips("no host is left that could be redirected"),
    # The pod has its sidecar, with a remark.
    "own_host_alias": _blind(
        "the pod's own hostAliases name {about}: its addresses stay, so that telemetry to it is "
        "not seen"
    ),
    "own_hosts_file": _blind(
        "{about} another /etc/hosts, where telemetry hosts have their real addresses: what is sent "
        "from there is not seen"
    ),
    "suffix_host": ReasonRow(
        "the hosts below {about} have no names that could be redirected: only redirect all sees "
        "them"
    ),
    "suffix_ports": _blind(
        "the hosts below {about} have ports besides 80 and 443, which are redirected only for "
        "names that the profile writes out: what is sent there is not seen"
    ),
    "too_many_hosts": _blind(
        "there are more hosts than addresses for them; not redirected: {about}"
    ),
    "own_ca": _blind(
        "{about}, and its clients refuse the sidecar's certificate until that file holds the one "
        f"in {names.MOUNT_TRUST}/{names.FILE_CA_CERT} too"
    ),
    "own_ca_appended": ReasonRow(
        "{about}: it gets a copy of that file, as it was when the pod started, with the sidecar's "
        "certificate added"
    ),
    "mount_taken": _blind(
        f"{{about}} something else at {names.MOUNT_TRUST}, so that its clients do not trust the "
        "sidecar"
    ),
    "env_from": ReasonRow(
        "{about} variables from a ConfigMap or Secret, which cannot be looked into: "
        "NODE_EXTRA_CA_CERTS there would be replaced, and a proxy there is not seen"
    ),
    "trust_replaced": ReasonRow(
        "{about}: this replaces the image's list of certificates by the sidecar's with ours added; "
        "authorities of a company in the image are not in it"
    ),
    "proxied": ReasonRow(
        "{about} a proxy: the telemetry hosts were added to NO_PROXY, or the sidecar would not see "
        "them; where real hosts are reached through that proxy only, set egressProxy"
    ),
    "proxy_unreadable": _blind(
        "{about} a proxy or NO_PROXY from a ConfigMap, Secret or field: add the telemetry hosts to "
        "NO_PROXY there, or the sidecar does not see them"
    ),
    "all_without_end": ReasonRow(
        "redirect all takes every connection to ports 80 and 443 and costs throughput; set "
        f"{names.ANNOTATION_ALL_UNTIL} to a time at which it ends"
    ),
}


class Reason(NamedTuple):
    id: str
    sentence: str

    @property
    def skips(self) -> bool:
        return REASONS[self.id].skips

    @property
    def quiet(self) -> bool:
        return REASONS[self.id].quiet


def reason(id: str, about: str = "") -> Reason:
    """Fills in `about`, which comes from the pod: escapes its unprintable characters."""
    return Reason(id, REASONS[id].sentence.replace("{about}", plain(about, 300)))


def unkept(id: str) -> str:
    """The sentence for a pod whose injector, an older one, did not keep what it was about."""
    return REASONS[id].sentence.replace("{about}", "(its injector did not keep what)")


def of(containers: Iterable[str], verb: str) -> str:
    """`container a sets`, `containers a and b set` for `of(["a", "b"], "set")`."""
    named = list(containers)
    if len(named) == 1:
        return f"container {named[0]} {verb}s"
    return f"containers {', '.join(named[:-1])} and {named[-1]} {verb}"
