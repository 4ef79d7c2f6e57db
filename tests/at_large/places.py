# ruff: noqa: E501  # a line is a line
"""Carriers that the other tables have not, and names of secrets in all languages."""

import gzip
import json
import re
import struct
from collections.abc import Callable
from urllib.parse import quote

from tests.at_large.made import b64, url64
from tests.layered import field
from tests.planted import FORM, JSON, NDJSON, TEXT, XML, Sent, posted

YAML = ("content-type", "application/yaml")
CSV = ("content-type", "text/csv")
MULTIPART = ("content-type", "multipart/form-data; boundary=b")
# Names that mean a secret; a value of LARGE stands under each.
_NAMES = """
contraseña contrasena mot_de_passe motDePasse mot-de-passe Passwort Kennwort db_passwort senha hasło
lösenord пароль 密码 密碼 パスワード 비밀번호 parola wachtwoord salasana adgangskode heslo jelszó şifre
κωδικός passord CONTRASEÑA Geheimnis ADMIN_KENNWORT user.passwort
DB_PASS REDIS_PASS MYSQL_PASS FTP_PASS LDAP_PASS SSH_PASS MAIL_PASS PROXY_PASS ansible_ssh_pass
keystorePass truststorePassword key_pass storepass keypass
MYSQL_PWD PGPASSWORD RABBITMQ_DEFAULT_PASS SMTP_PASSWD
preshared_key PresharedKey psk wpa_psk pre-shared-key
client_key signature_key jwtSigningKey hmac_key hmacKey aes_key fernet_key cookie_secret
session_key sessionKey secret_token csrf csrfmiddlewaretoken _csrf xsrf XSRF-TOKEN csrf-token
X-CSRFToken __RequestVerificationToken authenticity_token
connect.sid laravel_session ASP.NET_SessionId _gitlab_session CFID-session.token
card_pin pin_code pinCode cvv2 security_code securityCode security_answer verification_code
sms_code one_time_password totp_secret totpSeed recovery_phrase mnemonic
nkey  service_account_key storage_key storageKey publish_profile_password sas_key
webhook_url_secret slack_signing_secret   secretKeyBase SECRET_KEY_BASE
bind_dn_password bindpw rootpw basic_auth_password http_password  
  access_code accessCode passkey pass_key login_key
vault_token VAULT_TOKEN foo_TOKEN FOO_TOKEN bar-token-2 authtoken authToken 
     conn_str connStr 
x-access-key x_secret tokenValue secretValue passwordValue api_key_value 
old_password new_password passwordOld password_new Password1  user_pw adminPw
"""
NAMES = _NAMES.split()
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a header's name


def text(line: str) -> Sent:
    return posted(json.dumps({"n": 1, "said": line}), JSON)


def _part(head: str, content: str, more: str = "") -> str:
    return f"--b\r\nContent-Disposition: form-data; {head}\r\n{more}\r\n{content}\r\n"


def _header(name: str, value: str) -> Sent:
    return Sent(headers=((name, value),))


NAMED: dict[str, tuple[Callable[[str, str], Sent], re.Pattern[str] | None]] = {
    "JSON": (lambda n, v: posted(json.dumps({"a": {n: v}}, ensure_ascii=False), JSON), None),
    "JSON, escaped": (lambda n, v: posted(json.dumps({"a": {n: v}}), JSON), None),
    "query": (lambda n, v: Sent(f"v=1&{quote(n, safe='')}={v}"), None),
    "header": (lambda n, v: _header(n, v), _TOKEN),
    "environment": (lambda n, v: posted(f"HOME=/root\n{n}={v}\nPATH=/bin\n", TEXT), None),
    "YAML": (lambda n, v: posted(f"a: 1\n{n}: {v}\nb: 2\n", YAML), None),
    "log line": (lambda n, v: text(f"2026-11-30 WARN x: {n}={v} failed"), None),
    "XML": (lambda n, v: posted(f'<r><p name="{n}">{v}</p></r>'.encode(), XML), None),
}  # fmt: skip


def _msgpack(value: str, name: str = "password") -> bytes:
    return (
        b"\x82\xa1n\xcd\x01\x00" + bytes((0xA0 + len(name),)) + name.encode()
        + b"\xd9" + bytes((len(value),)) + value.encode()
    )  # fmt: skip


def _cbor(value: str, name: str = "password") -> bytes:
    return (
        b"\xa2\x61n\x19\x01\x00" + bytes((0x60 + len(name),)) + name.encode()
        + b"\x78" + bytes((len(value),)) + value.encode()
    )  # fmt: skip


def _bson(value: str, name: str = "password") -> bytes:
    member = b"\x02" + name.encode() + b"\0" + struct.pack("<i", len(value) + 1) + value.encode()
    return struct.pack("<i", len(member) + 6) + member + b"\0\0"


def _jwk(value: str) -> str:
    return json.dumps({"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": value})


# Carriers that the other tables have not.
PLACES: dict[str, Callable[[str], Sent]] = {
    "msgpack in base64": lambda s: posted(json.dumps({"p": b64(_msgpack(s))}), JSON),
    "CBOR": lambda s: posted(_cbor(s), ("content-type", "application/cbor")),
    "CBOR in base64": lambda s: posted(json.dumps({"p": b64(_cbor(s))}), JSON),
    "BSON": lambda s: posted(_bson(s), ("content-type", "application/bson")),
    "BSON in base64": lambda s: posted(json.dumps({"p": b64(_bson(s))}), JSON),
    "msgpack in hex in a query": lambda s: Sent("p=" + _msgpack(s).hex()),
    "gzip in base64 in XML": lambda s: posted(
        f"<a>{b64(gzip.compress(f'password={s}'.encode()))}</a>", XML),
    "JSON thrice": lambda s: text(json.dumps({"a": json.dumps({"password": s})})),
    "JSON in XML attribute": lambda s: posted(
        f'<a d="{{&quot;password&quot;:&quot;{s}&quot;}}"/>', XML),
    "XML in JSON": lambda s: text(f"<a><password>{s}</password></a>"),
    "XML comment": lambda s: posted(f"<a><!-- password={s} --></a>", XML),
    "XML instruction": lambda s: posted(f'<a><?conn password="{s}"?></a>', XML),
    "XML attribute in single quotes": lambda s: posted(f"<a password = '{s}'/>", XML),
    "XML name space": lambda s: posted(f'<a x:secret="{s}" xmlns:x="u"/>', XML),
    "HTML form": lambda s: posted(
        f'<input type="hidden" name="csrf_token" value="{s}">', ("content-type", "text/html")),
    "HTML form, value first": lambda s: posted(
        f'<input value="{s}" type="password" name="x">', ("content-type", "text/html")),
    "HTML meta": lambda s: posted(
        f'<meta name="csrf-token" content="{s}">', ("content-type", "text/html")),
    "JavaScript object": lambda s: posted(
        f"window.cfg={{apiKey:'{s}',v:1}}", ("content-type", "text/javascript")),
    "header of a part": lambda s: posted(
        _part('name="f"', "x", f"X-Api-Key: {s}\r\n") + "--b--\r\n", MULTIPART),
    "cookie in a part": lambda s: posted(
        _part('name="f"', "x", f"Set-Cookie: sid={s}\r\n") + "--b--\r\n", MULTIPART),
    "part of a batch": lambda s: posted(
        "--b\r\nContent-Type: application/http\r\n\r\nGET /x?access_token=" + s
        + " HTTP/1.1\r\nAuthorization: Bearer " + s + "\r\n\r\n\r\n--b--\r\n", MULTIPART),
    "name of a part": lambda s: posted(
        _part(f'name="password={s}"', "x") + "--b--\r\n", MULTIPART),
    "preamble of multipart": lambda s: posted(
        f"password={s}\r\n" + _part('name="f"', "x") + "--b--\r\n", MULTIPART),
    "epilogue of multipart": lambda s: posted(
        _part('name="f"', "x") + f"--b--\r\npassword={s}\r\n", MULTIPART),
    "multipart, encoded file name": lambda s: posted(
        _part(f"name=\"f\"; filename*=UTF-8''password%3D{s}.txt", "x") + "--b--\r\n", MULTIPART),
    "header with JSON": lambda s: _header("x-ctx", json.dumps({"password": s})),
    "header with base64": lambda s: _header("x-ctx", b64(json.dumps({"password": s}))),
    "header with percent": lambda s: _header("x-ctx", quote(f"password={s}")),
    "header with pairs": lambda s: _header("baggage", f"k=v,api_key={s};p=1"),
    "header, structured": lambda s: _header("x-ctx", f'a=1, secret="{s}"'),
    "www-authenticate": lambda s: _header("authentication-info", f'nextnonce="{s}", token="{s}"'),
    "link": lambda s: _header("link", f'<https://h/?page=2&access_token={s}>; rel="next"'),
    "cookie with JSON": lambda s: _header("cookie", "s=" + quote(json.dumps({"t": s}))),
    "two cookies": lambda s: Sent(headers=(("cookie", "a=1"), ("cookie", f"sid={s}"))),
    "user in the target": lambda s: _header("origin", f"https://bob:{s}@h"),
    "path, percent-encoded twice": lambda s: Sent(path=f"/t/password%253D{s}"),
    "path, a parameter": lambda s: Sent(path=f"/t;sessionToken={s}/x"),
    "path behind secret": lambda s: Sent(path=f"/v1/secret/{s}X4"),
    "query without a name": lambda s: Sent(f"password%3D{s}"),
    "query, a name with brackets": lambda s: Sent(f"a%5Bpassword%5D={s}"),
    "query, dotted": lambda s: Sent(f"auth.password={s}"),
    "query, semicolons": lambda s: Sent(f"a=1;password={s};b=2"),
    "query in base64": lambda s: Sent("q=" + url64(f"user=bob&password={s}")),
    "form, name in base64": lambda s: posted(
        f"{url64('password')}=1&x=" + url64(f"password={s}"), FORM),
    "form, twice": lambda s: posted(f"password=&password={s}", FORM),
    "CSV": lambda s: posted(f"user,password\nbob,{s}\nann,{s}\n", CSV),
    "CSV with semicolons": lambda s: posted(f"user;password\nbob;{s}\n", CSV),
    "CSV with tabs": lambda s: posted(f"user\tapi key\nbob\t{s}\nann\t{s}\n", TEXT),
    "JSON object under a plural": lambda s: posted(json.dumps({"secrets": {"db": s}}), JSON),
    "JSON Patch": lambda s: posted(
        json.dumps([{"op": "add", "path": "/a/db_password", "value": s}]), JSON
    ),
    "JSON list under a plural": lambda s: posted(json.dumps({"passwords": ["x", s]}), JSON),
    "HAR cookies": lambda s: posted(
        json.dumps({"cookies": [{"name": "sid", "value": s, "path": "/"}]}), JSON),
    "HAR headers": lambda s: posted(
        json.dumps({"headers": [{"name": "Authorization", "value": s}]}), JSON),
    "headers as lists": lambda s: posted(json.dumps({"headers": {"Cookie": [f"a={s}"]}}), JSON),
    "headers as JSON": lambda s: posted(
        json.dumps({"headers": {"cookie": f"sid={s}", "host": "h"}}), JSON),
    "raw headers": lambda s: posted(json.dumps({"rawHeaders": ["Host", "h", "Cookie", s]}), JSON),
    "argv": lambda s: posted(json.dumps({"argv": ["mysql", "-u", "root", f"-p{s}"]}), JSON),
    "argv, apart": lambda s: posted(
        json.dumps({"argv": ["docker", "login", "-u", "bob", "-p", s]}), JSON),
    "argv, curl": lambda s: posted(json.dumps({"argv": ["curl", "-u", f"bob:{s}", "h"]}), JSON),
    "environ as a list": lambda s: posted(json.dumps({"env": [f"DB_PASSWORD={s}", "A=1"]}), JSON),
    "environ of /proc": lambda s: posted(json.dumps({"e": f"A=1\0DB_PASSWORD={s}\0B=2"}), JSON),
    "JWK": lambda s: posted(_jwk(s), JSON),
    "JWK, symmetric": lambda s: posted(json.dumps({"keys": [{"kty": "oct", "k": s}]}), JSON),
    "service account": lambda s: posted(
        json.dumps({"type": "service_account", "private_key": s, "client_email": "x"}), JSON),
    "Sentry's frame": lambda s: posted(
        json.dumps({"frames": [{"vars": {"password": f"'{s}'"}, "context_line": f"pw('{s}')"}]}),
        JSON),
    "Sentry's request": lambda s: posted(
        json.dumps({"request": {"cookies": [["sid", s]], "query_string": f"api_key={s}"}}), JSON),
    "OTLP": lambda s: posted(
        json.dumps({"attributes": [{"key": "http.request.header.authorization",
                                    "value": {"arrayValue": {"values": [{"stringValue": s}]}}}]}),
        JSON),
    "metric's label": lambda s: posted(f'up{{instance="h",password="{s}"}} 1\n', TEXT),
    "line protocol": lambda s: posted(f'login,host=h password="{s}",n=1i 1\n', TEXT),
    "statsd": lambda s: posted(f"logins:1|c|#user:bob,password:{s}", TEXT),
    "Loki": lambda s: posted(
        json.dumps({"streams": [{"stream": {"a": "b"}, "values": [["1", f"password={s}"]]}]}),
        JSON),
    "NDJSON with a name beside": lambda s: posted(
        '{"a":1}\n' + json.dumps({"name": "DB_PASSWORD", "value": s}), NDJSON),
    "protobuf, a text": lambda s: posted(field(1, f"dsn: postgres://u:{s}@h/x".encode())),
    "protobuf in base64 in a header": lambda s: _header(
        "x-pb-bin", b64(field(1, b"password") + field(2, s.encode()))),
    "GraphQL, aliased": lambda s: posted(
        json.dumps({"query": f'{{a: login(pw: "x", apiKey: "{s}")}}'}), JSON),
    "LDIF": lambda s: posted(f"dn: cn=x\nuserPassword:: {b64(s)}\n", TEXT),
    "LDIF, plain": lambda s: posted(f"dn: cn=x\nuserPassword: {s}\n", TEXT),
    "quoted-printable": lambda s: posted(f"password=3D{s}\n", TEXT),
    "HTTP request in a text": lambda s: posted(
        f"GET /x HTTP/1.1\r\nHost: h\r\nX-Api-Key: {s}\r\n\r\n", TEXT),
    "diff": lambda s: posted(f"-password: x\n+password: {s}\n", TEXT),
    "shell trace": lambda s: posted(f"+ export DB_PASSWORD={s}\n+ run\n", TEXT),
    "full-width equals": lambda s: posted(f"password\uff1d{s}\n".encode(), TEXT),
    "full-width colon": lambda s: posted(f"密码\uff1a{s}\n".encode(), TEXT),
    "HTML entities": lambda s: posted(f"<p>password&#61;{s}</p>", ("content-type", "text/html")),
    "emphasised": lambda s: posted(f"**password:** {s}\n", TEXT),
    "ANSI colours": lambda s: posted(f"\x1b[1mpassword\x1b[0m={s}\n", TEXT),
}  # fmt: skip
