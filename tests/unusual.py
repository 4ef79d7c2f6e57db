"""The masking oracle's third table: secrets in unusual but real places, and what looks like them
and must stay. `lic` is the sensitive name, as in `tests.planted`."""

import base64
import json
import plistlib
from collections.abc import Callable, Iterator
from urllib.parse import quote

from tests.layered import field
from tests.planted import FORM, JSON, TEXT, XML, Case, Sent, posted

UNUSUAL = "Zq7xodd"  # in every secret of this table
YAML = ("content-type", "application/yaml")
GRPC = ("content-type", "application/grpc")
MULTIPART = ("content-type", "multipart/form-data; boundary=b")
STREAM = ("content-type", "text/event-stream")


def _b64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _header(name: str, value: str) -> Sent:
    return Sent(headers=((name, value),))


def _said(value: str) -> Sent:
    """A text of JSON."""
    return posted(json.dumps({"n": 1, "said": value}), JSON)


def _framed(value: str) -> bytes:
    message = field(1, field(1, b"lic") + field(2, value.encode()))
    return b"\0" + len(message).to_bytes(4) + message


def _part(head: str, content: str) -> str:
    return f"--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n"


PLACES: dict[str, Callable[[str], Sent]] = {
    # Addresses
    "trailer": lambda s: Sent(headers=(("trailer", "lic"), ("lic", s))),
    "target in a header": lambda s: _header("x-original-path", f"/a?lic={s}&b=1"),
    "cookie in quotes": lambda s: _header("cookie", f'a=1; lic="{s}"; b=2'),
    "address in a header": lambda s: _header("referer", f"https://h/x?lic={s}#lic={s}"),
    "address in an address": lambda s: _header(
        "referer", "https://h/x?u=" + quote(f"https://i/?lic={s}", safe="")),
    "fragment": lambda s: _header("location", f"https://h/cb#access_token={s}&x=1"),
    "matrix parameter": lambda s: Sent(path=f"/a;v=1;lic={s};x=2/b"),
    "segment behind its name": lambda s: Sent(path=f"/v1/lic/{s}/x"),
    "segment behind a common name": lambda s: Sent(path=f"/v1/api-key/{s}"),
    "segment with its name": lambda s: Sent(path=f"/a/lic={s}/b"),
    "segment, name encoded": lambda s: Sent(path=f"/a/%6cic={s}/b"),
    "percent-encoded twice": lambda s: Sent("d=" + quote(quote(json.dumps({"lic": s})))),
    "protocol of a WebSocket": lambda s: _header(
        "sec-websocket-protocol", f"v5.k8s.io, base64url.bearer.authorization.k8s.io.{s}"),
    "form with semicolons": lambda s: posted(f"a=1%262;lic={s};b=2", FORM),
    # Bodies
    "GraphQL variables": lambda s: posted(
        json.dumps({"query": "mutation($p:String!){x}", "variables": {"password": s}}), JSON),
    "GraphQL text": lambda s: _said(f'mutation{{login(user:"a", password: "{s}"){{id}}}}'),
    "JSON in CDATA": lambda s: posted(f'<a><![CDATA[{{"\\u006cic":"{s}"}}]]></a>', XML),
    "SOAP": lambda s: posted(
        f"<s:H xmlns:s='u'><w:Password Type='x#Text'>{s}</w:Password></s:H>", XML),
    "XML below its name": lambda s: posted(f"<r><lic><a><b>{s}</b></a></lic></r>", XML),
    "XML value=": lambda s: posted(f'<r><password value="{s}"/></r>', XML),
    "XML name as an entity": lambda s: posted(f'<r><p name="&#108;ic" value="{s}"/></r>', XML),
    "XML value before name": lambda s: posted(
        f"<m><value>{s}</value><name>lic</name></m>", XML),
    "plist": lambda s: posted(plistlib.dumps({"a": 1, "lic": s, "y": True}), XML),
    "YAML": lambda s: posted(f"a: 1\n'lic': '{s}'\nb: 2\n", YAML),
    "YAML block": lambda s: posted(f"a: 1\nlic: |\n  {s}\n  {s}\nb: 2\n", YAML),
    "YAML folded block": lambda s: posted(f"password: >-\n    {s}\nb: 2\n", YAML),
    "YAML pair": lambda s: posted(f"env:\n- name: DB_PASSWORD\n  value: {s}\n- name: b\n", YAML),
    "YAML pair, value first": lambda s: posted(
        f"env:\n- value: {s}\n  name: PASSWORD\n- name: b\n", YAML),
    "TOML": lambda s: posted(f'[a]\napi_key = """{s}"""\n', TEXT),
    "dotenv": lambda s: posted(f'A=1\nexport DB_PASSWORD="{s} x"\nB=2\n', TEXT),
    "PHP": lambda s: posted(f'a:1:{{s:8:"password";s:{len(s)}:"{s}";}}', TEXT),
    "Go": lambda s: posted(f"{{User:u Password:{s} A:1}}", TEXT),
    "JavaScript": lambda s: posted(f"const lic = `{s}`;", TEXT),
    "event stream": lambda s: posted(f'event: x\ndata: {{"\\u006cic":"{s}"}}\n\n', STREAM),
    "event stream, folded": lambda s: posted(
        f'id: 1\ndata: {{"a":1,\ndata: "\\u006cic":"{s}"}}\n\n', STREAM),
    "gRPC": lambda s: posted(_framed(s), GRPC),
    "gRPC as text": lambda s: posted(
        base64.b64encode(_framed(s)), ("content-type", "application/grpc-web-text")),
    "protobuf, value first": lambda s: posted(
        field(1, field(1, s.encode()) + field(2, b"lic"))),
    "protobuf, a type between": lambda s: posted(
        field(1, field(1, s.encode()) + field(2, b"string") + field(3, b"lic"))),
    "msgpack": lambda s: posted(
        b"\x81\xa3lic" + bytes((0xA0 + len(s),)) + s.encode(),
        ("content-type", "application/msgpack")),
    "multipart, value first": lambda s: posted(
        _part('name="value"', s) + _part('name="key"', "lic") + "--b--\r\n", MULTIPART),
    "name of a file": lambda s: posted(
        _part(f'name="f"; filename="lic={s}.txt"', "x") + "--b--\r\n", MULTIPART),
    "data address": lambda s: _said("data:application/json," + quote(json.dumps({"lic": s}))),
    "base64 of other letters": lambda s: _said(_b64(f"é, ü: lic={s}")),
    "name of another kind": lambda s: posted(json.dumps([{"id": "lic", "value": s}]), JSON),
    # Lines
    "header in a line": lambda s: _said(f"INFO GET / Authorization: Bearer {s}"),
    "curl": lambda s: _said(f"curl -fsS -u admin:{s} https://h/"),
    "mysql": lambda s: _said(f"mysql -u root -p{s} -h x"),
    "sshpass": lambda s: _said(f"sshpass -p {s} ssh h"),
    "option in quotes": lambda s: _said(f"run --password '{s} a' -x"),
    "netrc": lambda s: posted(f"machine h login u password {s}\n", TEXT),
    "SQL": lambda s: _said(f"CREATE USER a WITH PASSWORD '{s}'"),
    "SQL, identified": lambda s: _said(f"CREATE USER a IDENTIFIED BY '{s}'"),
    "ODBC": lambda s: _said(f"Server=h;Uid=u;Pwd={s};Encrypt=true"),
    "libpq": lambda s: _said(f"host=h user=u password={s} dbname=d"),
    "JDBC": lambda s: _said(f"jdbc:oracle:thin:u/{s}@h:1521:x"),
    "storage": lambda s: _said(f"AccountName=n;AccountKey={s}==;EndpointSuffix=x"),
    "npmrc": lambda s: posted(f"//registry/:_authToken={s}\n", TEXT),
    "credentials file": lambda s: posted(f"[x]\naws_secret_access_key = {s}\n", TEXT),
    "kubeconfig": lambda s: posted(f"users:\n- name: a\n  user:\n    token: {s}\n", YAML),
    "a Secret": lambda s: posted(f"kind: Secret\ndata:\n  password: {_b64(s)}\n", YAML),
    # Keys
    "key, escaped twice": lambda s: _said(
        f"-----BEGIN PRIV" f"ATE KEY-----\\nMIIE{s}\\nx\\n-----END PRIV" "ATE KEY-----\\n"),
    "key cut in half": lambda s: posted(f"ok -----BEGIN RSA PRIV" f"ATE KEY-----\nMIIE{s}", TEXT),
    "key with headers": lambda s: posted(
        "-----BEGIN RSA PRIV" "ATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
        f"{s}\n-----END RSA PRIV" "ATE KEY-----", TEXT),
}  # fmt: skip
_HEADERS = """
X-Vault-Token X-Gitlab-Token PRIVATE-TOKEN X-Figma-Token X-Consul-Token DD-API-KEY Api-Key
DD-APPLICATION-KEY X-Functions-Key Ocp-Apim-Subscription-Key X-Honeycomb-Team X-Insert-Key
X-Shopify-Access-Token Cf-Access-Client-Secret X-Amz-Security-Token x-goog-api-key
"""
_PARAMETERS = """
apikey jwt bearer otp passcode client_assertion shared_secret sharedKey sas_token db_pass user_pass
new_password_confirmation passwordHash instrumentation_key ingest_key activation_key deploy_key
seed_phrase mfa_code jsessionid encryptionKey consumer_secret npm_token
"""
# What has other meanings, and must stay.
_READABLE = """
token_type tokenizer tokenize max_tokens page_token next_page_token nextToken sync_token
continuationToken eos_token pad_token input_token prompt_token x-token-count key sort_key sortKey
primary_key partition_key keyName hotkey cache_key metaKey keyboard monkey passenger secretariat
pass bypass first_pass pwd cwd compass passive key_id access_key_id api_key_count api_keys_total
secret_name secretName secret_ref authority signal design code error_code zip_code license_type
licence_class session_id user_id request_id trace_id idempotency_key surrogate-key
sec-websocket-key otp_enabled otp_length use_secret requires_api_key jwtIssuer product_key_count
public_key_id deploy_keys_count backup_codes_left title id type
"""
READABLE = _READABLE.split()
# Words that hold others, ids and times: of all of these nothing is masked, alone or in a line.
_TEXTS = """
1764444864123456 1764444864123456789 20261129193428 550e8400-e29b-41d4-a716-446655440000
VXNlcjoxMjM0NQ== docker.io/library/nginx:1.2@sha256:abcdef https://h/?page_token=abc npm:pkg@1.2
a@b.example arn:aws:iam::123456789012:role/x projects/p/keyRings/k/cryptoKeys/c
4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d com.acme.product.TokenService UserPasswordResetController
/var/run/secrets/kubernetes.io/serviceaccount/token secret/data/app /reset-password/confirm
01HF8ZQ7K2M3N4P5Q6R7S8T9V0 x86_64-unknown-linux-gnu ZGVmYXVsdA==
"""
TEXTS = [
    *_TEXTS.split(),
    "docker run -u 1000:1000 image",
    "curl -fsSL https://h/install.sh | sh",
    "mysql -u root -h host db",
    "the password is required",
    "Password must contain 8 characters",
    "SELECT password FROM users",
    "cd /x; PWD=/home/a make",
    "name: cpu, value: 5",
]


def cases() -> Iterator[Case]:
    """A secret in each place."""
    makers = dict(PLACES)
    for name in _HEADERS.split():
        makers[f"header {name}"] = lambda s, name=name: _header(name, s)  # type: ignore[misc]
    for name in _PARAMETERS.split():
        makers[f"parameter {name}"] = lambda s, name=name: Sent(f"v=1&{name}={s}")  # type: ignore[misc]
    for number, (what, make) in enumerate(makers.items()):
        secret = f"{UNUSUAL}{number:03}K9wLm2"
        yield Case(f"unusual: {what}", secret, make(secret))
