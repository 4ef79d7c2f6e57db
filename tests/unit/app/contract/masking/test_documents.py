import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking.fields import SensitiveNames
from app.contract.masking.opening import Opening
from app.contract.rules import Sensitive

NAMES = SensitiveNames(
    [
        Sensitive("any", "lic", "mask"),
        Sensitive("body", "user.id", "drop"),
        Sensitive("body", "kept", "keep"),
    ]
)


def masked(document: str) -> str:
    return Opening(NAMES, None).json(document.encode()).decode()


# Only what is masked changes. Each with what it becomes.
DOCUMENTS = [
    ('{"a": 1.10, "b":1E2,\t"c" : -0, "lic":"x"}', '{"a": 1.10, "b":1E2,\t"c" : -0, "lic":"***"}'),
    ('{"lic":"x","lic":null,"lic":"y"}', '{"lic":"***","lic":null,"lic":"***"}'),
    ('{"a":"\\u00e9\\/ ?lic=x&b=\\/"}', '{"a":"\\u00e9\\/ ?lic=***&b=\\/"}'),
    ('{"\\u006cic":1.10,"a":1.10}', '{"\\u006cic":"***","a":1.10}'),
    ('{"lic":{"a":[1,2]} , "b":[ 1.0 ]}', '{"lic":"***" , "b":[ 1.0 ]}'),
    ('{"a":{"user":[{"id": "x","n":1.0}]}}', '{"a":{"user":[{"id": "","n":1.0}]}}'),
    ('{"a":1.0}\n{"lic":"x"}\n', '{"a":1.0}\n{"lic":"***"}\n'),
    ('{"p":"{\\"lic\\": \\"x\\", \\"b\\":1.10}"}', '{"p":"{\\"lic\\": \\"***\\", \\"b\\":1.10}"}'),
    ('{"user[lic]":"x","lic[]":["x"]}', '{"user[lic]":"***","lic[]":"***"}'),
    ('{"a.lic":1,"\\uff4cic":2}', '{"a.lic":"***","\\uff4cic":"***"}'),
    # SensitiveNames as values.
    ('{"key":"lic","value":"x"}', '{"key":"lic","value":"***"}'),
    ('{"value":1.5,"n":1.0,"name":"Lic"}', '{"value":"***","n":1.0,"name":"Lic"}'),
    ('{"name":"Authorization","value":"Bearer x"}', '{"name":"Authorization","value":"***"}'),
    ('{"Key":"DB_PASSWORD","Value":"x"}', '{"Key":"DB_PASSWORD","Value":"***"}'),
    ('{"key":"apiKey","value":{"stringValue":"x"}}', '{"key":"apiKey","value":"***"}'),
    ('{"op":"replace","path":"/spec/apiKey","value":"x"}',
     '{"op":"replace","path":"/spec/apiKey","value":"***"}'),
    ('[{"value":{"a":"x"},"path":"/lic","op":"add"}]',
     '[{"value":"***","path":"/lic","op":"add"}]'),
    ('{"secrets":{"db":"x","n":12,"on":true}}', '{"secrets":{"db":"***","n":12,"on":true}}'),
    ('{"apiKeys": {"a" : "x","b":{"c":"y"}},"d":"z"}',
     '{"apiKeys": {"a" : "***","b":{"c":"y"}},"d":"z"}'),
    ('["lic", "x"]', '["lic", "***"]'),
    ('[["a","b"],["Authorization",{"a":1}]]', '[["a","b"],["Authorization","***"]]'),
    ('["Host","h","Cookie","a=1; b=2"]', '["Host","h","Cookie","***"]'),
    ('["run","--lic","x","-v"]', '["run","--lic","***","-v"]'),
    ('["run", "--lic=x", 1.0, "--api-key", "y"]', '["run", "--lic=***", 1.0, "--api-key", "***"]'),
    ('{"argv":"--password=x --api-key y -v"}', '{"argv":"--password=*** --api-key *** -v"}'),
    # A value that holds more than its name says.
    ('{"name":"lic","value":"{\\"lic\\":\\"x\\"}"}', '{"name":"lic","value":"***"}'),
]  # fmt: skip
READABLE = [
    '{"license_count":3,"token_count":5,"tokens_used":1.10,"password_policy":"strict"}',
    '{"kept":"lic=x","user":{"ids":["1"]},"id":"7"}',
    '{"key":"license_count","value":12}',
    '{"name":"password_policy","value":"strict"}',
    '{"op":"http.client","path":"/oauth/token","value":"x"}',
    '{"op":"remove","path":"/password","value":"x"}',
    '{"path":"/password","value":"x"}',
    '{"op":"add","path":"/token_count","value":"x"}',
    '{"tokens":{"eos":"x"},"secrets":{"count":3,"on":true},"status":{"a":"x"}}',
    '["public","x"]',
    '["a","lic"]',
    '["a","lic","b"]',
    '["lic"]',
    '{"required":["username","password"]}',
    '{"a":"the lic is x","b":"lic"}',
    '{"lic":null,"password":""}',
    '[1.10,1E2,-0,true,null]',
]  # fmt: skip


@pytest.mark.parametrize(("document", "left"), DOCUMENTS)
def test_only_what_is_masked_changes(document: str, left: str) -> None:
    assert masked(document) == left
    assert masked(left) == left


@pytest.mark.parametrize("document", READABLE)
def test_what_is_not_sensitive_stays(document: str) -> None:
    assert masked(document) == document


TEXT = st.text('ab01 .-_=&:%/\\"\n{[eW\u00e9\U0001f600')
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(ANY, st.sampled_from([None, 1]), st.booleans())
def test_a_document_without_a_sensitive_name_stays(
    document: Any, indent: int | None, ascii_: bool
) -> None:
    written = json.dumps({"a": document}, indent=indent, ensure_ascii=ascii_)
    assert masked(written) == written


@given(ANY, st.sampled_from([None, 1]), st.booleans())
def test_beside_what_is_masked_everything_stays(
    document: Any, indent: int | None, ascii_: bool
) -> None:
    written = json.dumps({"a": document, "lic": "x", "b": 1}, indent=indent, ensure_ascii=ascii_)
    assert (
        masked(written)
        == written[: written.rindex('"x"')] + '"***"' + written[written.rindex('"x"') + 3 :]
    )


@pytest.mark.parametrize("end", ["=", ""])
@pytest.mark.parametrize("pad", range(3))
@pytest.mark.parametrize("url", [False, True])
def test_base64_keeps_its_alphabet_and_its_end(end: str, pad: int, url: bool) -> None:
    def coded(lic: str) -> str:
        inner = json.dumps({"lic": lic, "a": "?>~\x7f" + " " * pad}, ensure_ascii=False)
        text = (base64.urlsafe_b64encode if url else base64.b64encode)(inner.encode()).decode()
        return text if end else text.rstrip("=")

    new = Opening(NAMES, None).nested(coded("xyz"))
    assert new.rstrip("=") == coded("***").rstrip("=") and ("=" in new) <= bool(end)


def test_what_lies_deep_is_masked_whole() -> None:
    assert masked('{"lic":1,"a":' + "[" * 100 + "1]" * 1 + "]" * 99 + "}").count("***") == 2


@pytest.mark.parametrize(
    "unit", ['"--lic","?lic=1",', '["lic",1],', '{"key":"lic","value":1},', '"lic","x",', "1,"]
)
def test_a_large_document_takes_linear_time(unit: str) -> None:
    began = time.process_time()
    masked('[{"lic":1},' + unit * (256 * 1024 // len(unit)) + "1]")
    assert time.process_time() - began < 10
