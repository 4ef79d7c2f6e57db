"""Manifests: which documents are changed, and what is said about those that cannot be read."""

import re
from textwrap import indent
from typing import Any

import pytest

from app.inject import Injection, NamespaceFacts, inject
from app.inject.kube_yaml import read
from app.inject.manifest import ManifestError, ManifestOutcome, injected, joined
from tests.unit.app.inject.test_pod import settings

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: c}]}\n"


def run(text: str) -> tuple[str, list[ManifestOutcome]]:
    return injected(text, lambda pod, name: inject(pod, settings(), NamespaceFacts(name)))


def documents(text: str) -> list[Any]:
    return [read(part) for part in text.split("\n---\n")]


@pytest.mark.parametrize(
    "text",
    ["", "\n", "---\n", "# only a comment\n", "---\n---\n", "a: b # c\n", "- 1\n", "text\n",
     "apiVersion: v1\nkind: Service\n---\n# x\napiVersion: v1\nkind: ConfigMap\ndata: {n: 010}\n",
     "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {tasks: []}\n",
     "apiVersion: v1\r\nkind: Service\r\n", "a: .nan\nb: !!binary eA==\n1: 2\n"],
)  # fmt: skip
def test_what_makes_no_pods_stays_as_it_was_written(text: str) -> None:
    assert run(text) == (text, [])


def test_separators_and_comments_stay_around_a_changed_document() -> None:
    text = f"# first\na: b\n--- # second\n# Source: x.yaml\n\n{POD}---\n# third\nc: d\n"
    output, (outcome,) = run(text)
    before, changed, after = re.split("^---", output, flags=re.M)
    assert before == "# first\na: b\n"
    assert changed.startswith("\n # second\n# Source: x.yaml\n\napiVersion: v1\n")
    assert after == "\n# third\nc: d\n"
    assert outcome.injection.injected


def test_a_manifest_without_a_newline_at_its_end() -> None:
    output, outcomes = run(f"{POD}---\n{POD.rstrip()}")
    assert len(outcomes) == 2
    assert len(documents(output)) == 2


@pytest.mark.parametrize(
    "kind", ["apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 DaemonSet", "apps/v1 ReplicaSet",
             "batch/v1 Job", "v1 ReplicationController"],
)  # fmt: skip
def test_workloads(kind: str) -> None:
    version, name = kind.split()
    text = (
        f"apiVersion: {version}\nkind: {name}\nmetadata: {{name: w, namespace: n}}\n"
        "spec: {template: {spec: {containers: [{name: c, image: c}]}}}\n"
    )
    output, (outcome,) = run(text)
    pod = read(output)["spec"]["template"]
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["telemock", "telemock-redirect"]
    assert outcome.lines == [f"{name} n/w: injected, redirect hosts, mode as the rules say"]


def test_the_namespace_is_told_to_the_caller() -> None:
    seen = []

    def look(pod: dict[str, Any], namespace: str) -> Injection:
        seen.append(namespace)
        return inject(pod, settings())

    injected(POD.replace("name: a", "name: a, namespace: n") + "---\n" + POD, look)
    assert seen == ["n", ""]


def listed(*items: str) -> str:
    return "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"- {indent(item, '  ')[2:]}" for item in items
    )


def test_a_list_is_changed_item_by_item() -> None:
    """Also where two pods are of one text: an alias must not make them one object."""
    env = '[{name: A, value: "1e3"}]'
    first, second = (
        POD.replace("image: c", f"image: c, env: {each}") for each in ("&e " + env, "*e")
    )
    beside = "apiVersion: v1\nkind: ConfigMap\ndata: {when: 2026-01-31}\n"
    output, outcomes = run(listed(first, beside, second))
    alone, _ = run(second.replace("*e", env))
    kept = 'apiVersion: v1\nkind: ConfigMap\ndata:\n  when: "2026-01-31"\n'
    assert output == listed(alone, kept, alone)
    assert [outcome.injection.injected for outcome in outcomes] == [True, True]
    assert run(output)[0] == output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "document 1 is no YAML: "),
        (f"{POD}---\na: b: c\n", "document 2 is no YAML: mapping values are not allowed here"),
        ("a: !!python/object:os.system x\n", "document 1 is no YAML: could not determine a const"),
        ("a: &a [*a]\n", "document 1 holds what no Kubernetes object does"),
        ("1: 2\n? [a]\n: b\n", "document 1 "),
        ("apiVersion: v1\nkind: Pod\n", "document 1 is not built as Kubernetes objects are"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: {}}\n", "document 1 is not built as"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: [x]}\n", "document 1 is not built as"),
        ("apiVersion: apps/v1\nkind: Deployment\nspec: {template: null}\n", "document 1 is not"),
        (POD.replace("name: c,", "name: c, env: {a: b},"), "document 1 is not built as"),
    ],
)
def test_damaged_input_is_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ManifestError) as error:
        run(text)
    assert str(error.value).startswith(words)


def test_hostile_names_do_not_reach_the_terminal() -> None:
    _, (outcome,) = run(POD.replace("name: a", 'name: "\\e[2J\\nforged"'))
    assert all(line.isprintable() for line in outcome.lines)


def test_files_become_documents_of_one_manifest() -> None:
    assert joined(["a: b", "---\nc: d\n", "", "e: f\n"]) == "a: b\n---\nc: d\n---\n---\ne: f\n"
    assert joined(["a: b"]) == "a: b\n"
