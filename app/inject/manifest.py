"""Adds sidecars to manifests: `telemock inject`, which needs no webhook and no cluster.

Unchanged documents stay byte by byte as they were, comments included.
"""

import copy
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import yaml

from app.escape import plain
from app.inject import kube_yaml as yaml_text
from app.inject.pod import Injection

Object = dict[str, Any]

# API group and kind -> path to the pod.
_PODS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
_SEPARATOR = re.compile(r"^---(?=\s|$)", re.M)
_HEAD = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")  # comments and empty lines before a document


class ManifestError(ValueError):
    """The input is no manifest. The text is meant for people, whole."""


class ManifestOutcome(NamedTuple):
    """The result for one object that makes pods. `injected`: others may be injected already."""

    kind: str
    namespace: str
    name: str
    injection: Injection

    @property
    def lines(self) -> list[str]:
        """Describes the result for people."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        done = self.injection
        what = (
            f"injected, redirect {done.redirect}, mode {done.mode or 'as the rules say'}"
            if done.injected
            else "not injected"
        )
        about = [f"  {reason.sentence}" for reason in done.reasons]
        return [plain(f"{self.kind} {where}: {what}"), *about]


def injected(
    text: str, inject: Callable[[Object, str], Injection]
) -> tuple[str, list[ManifestOutcome]]:
    """Injects the pods in `text`; returns its documents and an outcome for each object. `inject`
    gets a pod and its namespace's name, "" when the manifest names none. Raises ManifestError."""
    outcomes: list[ManifestOutcome] = []
    parts = []
    for number, document in enumerate(_documents(text), 1):
        head, body = document
        try:
            found = yaml_text.read(body)
            # Copies what a YAML alias repeats, so that a change in one place stays there.
            plain_json = msgspec.json.encode(found)
            whole = msgspec.json.decode(plain_json)
        except yaml.YAMLError as e:
            raise ManifestError(f"document {number} is no YAML: {_problem(e)}") from None
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            raise ManifestError(f"document {number} holds what no Kubernetes object does") from None
        try:
            some = list(_object(whole, inject))
        except (TypeError, AttributeError, KeyError, ValueError) as e:
            raise ManifestError(
                f"document {number} is not built as Kubernetes objects are ({type(e).__name__})\n\n"
                "hint: kubectl apply --dry-run=client -f FILE says where"
            ) from None
        outcomes += some
        if whole == msgspec.json.decode(plain_json):
            parts.append(head + body)
            continue
        comments = _HEAD.match(body)
        parts.append(
            (f"{head}\n" if head else "")
            + (comments[0].lstrip("\n") if comments else "")
            + yaml_text.write(whole)
        )
    return "".join(parts), outcomes


def joined(texts: Iterable[str]) -> str:
    """Joins the manifests of several files into one."""
    whole = ""
    for text in texts:
        if whole and not text.startswith("---"):
            whole += "---\n"
        whole += text if not text or text.endswith("\n") else f"{text}\n"
    return whole


def _documents(text: str) -> Iterator[tuple[str, str]]:
    """Splits into documents, each with its `---` line if it has one."""
    starts = [m.start() for m in _SEPARATOR.finditer(text)]
    if first := text[: starts[0]] if starts else text:
        yield "", first
    for start, end in itertools.pairwise([*starts, len(text)]):
        yield "---", text[start + 3 : end]


def _object(found: Any, inject: Callable[[Object, str], Injection]) -> Iterator[ManifestOutcome]:
    """Changes the object's pods in place."""
    if not isinstance(found, dict):
        return
    version, kind = str(found.get("apiVersion", "")), str(found.get("kind", ""))
    if kind == "List" and version == "v1":
        for item in found.get("items") or ():
            yield from _object(item, inject)
        return
    group = version.rpartition("/")[0]
    path = _PODS.get((group, kind))
    if path is None:
        return
    holder, pod = found, found
    for step in path:
        holder, pod = pod, pod[step]
    if not isinstance(pod["spec"]["containers"], list):
        raise TypeError
    meta = found.get("metadata") or {}
    namespace = str(meta.get("namespace") or "")
    done = inject(pod, namespace)
    if path:
        holder[path[-1]] = done.pod
    else:
        found.clear()
        found.update(copy.deepcopy(done.pod))
    yield ManifestOutcome(kind, namespace, str(meta.get("name") or meta.get("generateName")), done)


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "it cannot be read"
    return plain(f"{what}, line {mark.line + 1} of it" if mark else what)
