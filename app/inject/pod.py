"""`inject()`: takes a pod as its author wrote it, returns the same pod with a sidecar.

Pure: the webhook, `telemock inject` and the tests call it alike. It works on plain objects, so that
unknown fields survive.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from app.contract import names
from app.inject import conflicts, containers, hosts, limits, sidecar
from app.inject.annotations import Wishes, wishes
from app.inject.reasons import Reason, reason
from app.inject.settings import InjectionStatus, InjectSettings, NamespaceFacts, Redirect
from app.inject.sidecar import Plan


class Injection(NamedTuple):
    """`pod` is a copy, with the result in its annotation. Without a sidecar, `redirect` is ""."""

    pod: dict[str, Any]
    reasons: list[Reason]
    injected: bool
    redirect: str = ""
    mode: str = ""


def inject(
    pod: Mapping[str, Any],
    settings: InjectSettings,
    namespace: NamespaceFacts = NamespaceFacts(),  # noqa: B008 - immutable
) -> Injection:
    """Injects a Pod or a workload's template, with `metadata` and `spec`. The caller checks that it
    opted in; this checks that it did not opt out. Idempotent."""
    if (left := conflicts.untouched(pod, namespace)) is not None:
        return Injection(copy.deepcopy(dict(pod)), [left], injected=False)
    found, reasons = _planned(pod, settings, namespace)
    changed = copy.deepcopy(dict(pod))
    if found is None:
        result = Injection(changed, reasons, injected=False)
    else:
        plan, wanted = found
        reasons += _change(changed["spec"], plan, wanted)
        result = Injection(changed, reasons, True, plan.redirect, plan.mode)
        if refused := limits.refusals(changed["spec"], namespace, _controller(pod)):
            changed = copy.deepcopy(dict(pod))
            result = Injection(changed, refused, injected=False)
    meta = changed["metadata"] = changed.get("metadata") or {}
    if result.injected:  # a label, because selectors such as a PodMonitor's cannot see annotations
        meta["labels"] = {**(meta.get("labels") or {}), names.LABEL_INJECTED: "true"}
    meta["annotations"] = {
        **(meta.get("annotations") or {}),
        names.ANNOTATION_STATUS: InjectionStatus(
            result.injected,
            [r.id for r in result.reasons],
            result.redirect,
            result.mode,
            settings.version,
            [r.sentence for r in result.reasons],
        ).json(),
    }
    return result


def _planned(
    pod: Mapping[str, Any], settings: InjectSettings, namespace: NamespaceFacts
) -> tuple[tuple[Plan, Wishes] | None, list[Reason]]:
    """Plans the injection and collects remarks; without a plan, the reasons say why."""
    spec = pod.get("spec") or {}
    label = conflicts.label_value(pod)
    asked = wishes((pod.get("metadata") or {}).get("annotations") or {}, settings)
    wrong = [
        *([label] if label else []),
        *conflicts.unknown_names(pod),
        *(asked if isinstance(asked, list) else []),
        *conflicts.impossible(spec),
    ]
    if isinstance(asked, list):
        return None, wrong
    redirect = _redirect(asked, namespace)
    chosen = hosts.chosen(asked.profiles, spec, redirect, settings.dummy_ranges)
    wrong += conflicts.impossible_with(redirect, spec, namespace, chosen.ports)
    wrong += [said for said in chosen.reasons if said.skips]
    if not chosen.named and redirect != "all":
        wrong += [*chosen.reasons, reason("no_hosts")]
    if wrong:
        return None, wrong
    said = list(chosen.reasons)
    if redirect == "all" and not asked.all_until:
        said.append(reason("all_without_end"))
    first = (spec.get("containers") or [{}])[0]
    plan = Plan(
        settings=settings,
        redirect=redirect,
        mode=asked.mode,
        hosts=chosen.named,
        addresses=chosen.addresses,
        ports=chosen.ports,
        resources=asked.resources,
        all_until=asked.all_until,
        rehearse=asked.rehearse,
        container=str(first.get("name", "")),
        image=str(first.get("image", "")),
        canary_images=tuple(str(c.get("image", "")) for c in conflicts.all_containers(spec))
        if asked.canary
        else None,
    )
    return (plan, asked), said


def _controller(pod: Mapping[str, Any]) -> str:
    """The uid of who makes the pod, "" without one."""
    owners = (pod.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(o.get("uid", "")) for o in owners if o.get("controller")), "")


def _redirect(asked: Wishes, namespace: NamespaceFacts) -> Redirect:
    if asked.redirect == "auto":
        return "hosts" if namespace.allows_net_admin else "loopback"
    return cast("Redirect", asked.redirect)


def _change(spec: dict[str, Any], plan: Plan, asked: Wishes) -> list[Reason]:
    """Applies the plan to the pod's spec; returns remarks about its containers."""
    said, copies = containers.connect(
        conflicts.all_containers(spec),
        asked.trust,
        plan.hosts,
        spec.get("volumes") or (),
        appends=asked.appends,
    )
    plan = plan._replace(copies=tuple(copies))
    spec["initContainers"] = [*sidecar.containers(plan), *(spec.get("initContainers") or ())]
    spec["volumes"] = [*(spec.get("volumes") or ()), *sidecar.volumes(plan.settings.env)]
    if plan.hosts:
        more = hosts.aliases(plan.addresses, plan.redirect)
        spec["hostAliases"] = [*(spec.get("hostAliases") or ()), *more]
    if plan.redirect == "loopback":
        # The sidecar has no capability, so only this lets it listen on ports 80 and 443.
        context = spec["securityContext"] = spec.get("securityContext") or {}
        sysctls = context.get("sysctls") or []
        if not any(s.get("name") == sidecar.SYSCTL for s in sysctls):
            context["sysctls"] = [*sysctls, {"name": sidecar.SYSCTL, "value": "0"}]
    return said
