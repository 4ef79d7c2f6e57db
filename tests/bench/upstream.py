"""What the pod speaks with: the real hosts of its other traffic, telemock's app, a collector."""

import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from app.contract import names
from tests.bench.lab import ADDRESSES, APP, BULK, PORT_OTLP, ROOT, WEB, Lab, tool
from tests.bench.processes import Process, Started, own_folder

PROFILE = ROOT / "app/profiles/vendors/cribl.yaml"

_NGINX = """worker_processes {workers}; pid {where}/pid; daemon off; {user}
error_log {where}/log warn;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; default_type text/html;
  client_body_temp_path {where}/t; proxy_temp_path {where}/t; fastcgi_temp_path {where}/t;
  uwsgi_temp_path {where}/t; scgi_temp_path {where}/t;
  server {{ {listen}
    ssl_certificate {certificate}; ssl_certificate_key {key};
    ssl_session_cache off; ssl_session_tickets off;
    location / {{ return 200 'cribl /// living the stream!\\n'; }} }} }}
"""


def nginx(port: int) -> Callable[[Lab, int | None], Started]:
    """In the proxy's place: opens TLS and answers, the most that one processor can do."""

    def start(lab: Lab, processor: int | None) -> Started:
        listen = f"listen 127.0.0.1:{port} ssl; listen [::1]:{port} ssl;"
        process = _nginx(lab, "pod", listen, processor)
        return Started(process, process.until(lambda: process.listens(port)))

    return start


def _nginx(lab: Lab, place: str, listen: str, processor: int | None = None) -> Process:
    where, in_pod = own_folder(lab, "nginx"), place == "pod"
    file = where / "nginx.conf"
    file.write_text(
        _NGINX.format(
            where=where,
            listen=listen,
            workers=1 if in_pod else 2,
            user="" if in_pod else "user root;",
            certificate=lab.certificate,
            key=lab.key,
        )
    )
    command = ["nginx", "-e", where / "log", "-c", file]
    return Process(lab, place, command, where / "stdout", processor=processor, as_sidecar=in_pod)


def hosts(lab: Lab) -> list[Process]:
    """A web server, nginx where there is one, and where bulk goes."""
    web = ADDRESSES[WEB]
    if tool("nginx"):
        server = _nginx(lab, "internet", f"listen {web}:80; listen {web}:443 ssl;")
    else:
        server = _python(lab, "web", web)
    sink = _python(lab, "bulk", "sink", ADDRESSES[BULK])
    for process, address in ((server, web), (sink, ADDRESSES[BULK])):
        process.until(lambda p=process, a=address: p.listens(80, a) and p.listens(443, a))  # type: ignore[misc]
    return [server, sink]


def _python(lab: Lab, module: str, *arguments: object) -> Process:
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments, lab.certificate, lab.key]
    return Process(lab, "internet", command, lab.folder / module)


def app(lab: Lab, processor: int) -> Process:
    """The real one, with Cribl's profile; one rule of it is answered by the sidecar, so that both
    ways are there: `/telemetry/index.html` at the sidecar, the rest at the app."""
    where = lab.folder / "app"
    where.mkdir()
    profile = yaml.safe_load(PROFILE.read_text())
    first = profile["rules"][0]
    first["match"]["path"] = "/telemetry/index.html"
    first["answer"]["at"] = "sidecar"
    (where / "cribl.yaml").write_text(yaml.safe_dump(profile, sort_keys=False))
    process = Process(
        lab,
        "cluster",
        [sys.executable, "-m", "app.cli", "serve"],
        where / "stdout",
        processor=processor,
        environ={
            "HOST": APP,
            "PORT": str(names.PORT_APP),
            "TELEMOCK_DATA": str(where),
            "TELEMOCK_LOGS": str(where / "logs"),
            "TELEMOCK_PROFILES": str(where / "cribl.yaml"),
        },
    )
    process.until(lambda: process.listens(names.PORT_APP) and _token(where))
    return process


def collector(lab: Lab, processor: int) -> Process:
    """The collector for the system that exports traces and metrics."""
    command = [sys.executable, "-m", "tests.bench.collector", APP, PORT_OTLP]
    process = Process(lab, "cluster", command, lab.folder / "collector", processor=processor)
    process.until(lambda: process.listens(PORT_OTLP))
    return process


def _token(where: Path) -> bool:
    file = where / names.FILE_TOKEN
    return file.exists() and file.stat().st_size > 0
