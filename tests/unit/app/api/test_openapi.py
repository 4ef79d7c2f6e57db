from typing import Any

import pytest

from app.api.openapi import EXAMPLE_RECORD
from app.contract.record import ADDED, decode, encode
from app.main import create_app
from app.settings import load
from tests.serving import environment


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(load(environment(tmp_path_factory.mktemp("openapi")))).openapi()


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert "#/components/schemas/CapturePage" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert all(r["description"] for r in operation["responses"].values()), path
            if path.startswith("/api"):
                assert {"401", "422", "503"} <= set(operation["responses"]), path


def test_the_record_is_there_with_all_its_parts(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"CaptureRecord", "Request", "Response", "Body", "Message", "Log", "Tls"} <= set(schemas)
    assert "product_version" in schemas["CaptureRecord"]["properties"]


def test_what_is_read_has_an_id_and_a_time_too(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    kept, read = schemas["CaptureRecord"], schemas["OutgoingRecord"]
    assert {*read["properties"]} - {*kept["properties"]} == {*ADDED}
    assert {*read["required"]} - {*kept["required"]} == {"id", "time"}
    assert schemas["CapturePage"]["properties"]["items"]["items"]["$ref"].endswith(
        "/OutgoingRecord"
    )


def test_the_example_is_a_record() -> None:
    import msgspec

    assert {"id", "time"} <= set(EXAMPLE_RECORD)

    example = decode(msgspec.json.encode(EXAMPLE_RECORD))
    assert decode(encode(example)) == example
