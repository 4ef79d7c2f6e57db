"""`telemock run` of each kind of client, in a network where the vendor's address leads outside: it
is seen, or the verdict names it; never silence.

All clients of a mode and form run within one command, each as a process of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.integration.test_run_covers import OUTSIDE

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]  # it builds, and waits for clients

HOST, ADDRESS = "cdn.cribl.io", "203.0.114.9"
LINE = "cribl /// living the stream!\n"
INSTALLED = Path(".venv/clients").absolute()  # by `make clients`
SECONDS = 3  # of a client's patience with an address that does not answer

JAVA = """
import java.net.*; import java.net.http.*; import java.time.*;
public class Client { public static void main(String[] given) throws Exception {
  HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(3)).build();
  HttpRequest asked = HttpRequest.newBuilder(URI.create(given[0])).build();
  HttpResponse<String> answer = client.send(asked, HttpResponse.BodyHandlers.ofString());
  System.out.print(answer.body());
} }
"""
JAVA_URL = """
import java.net.*;
public class Client { public static void main(String[] given) throws Exception {
  URLConnection asked = new URL(given[0]).openConnection();
  asked.setConnectTimeout(3000);
  System.out.print(new String(asked.getInputStream().readAllBytes()));
} }
"""
GO = """
package main
import ("fmt"; "io"; "net/http"; "os"; "time")
func main() {
  client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{PROXY}}
  answer, err := client.Get(os.Args[1])
  if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
  body, _ := io.ReadAll(answer.Body); fmt.Print(string(body))
}
"""
NODE_HTTPS = """
const asked = require("https").get(process.argv[2], {timeout: 3000}, answer => {
  answer.on("data", data => process.stdout.write(data)); });
asked.on("timeout", () => process.exit(1)); asked.on("error", () => process.exit(1));
"""
NODE_FETCH = """
setTimeout(() => process.exit(1), 6000).unref();
fetch(process.argv[2]).then(answer => answer.text()).then(text => process.stdout.write(text))
  .catch(error => { console.error(error); process.exit(1); });
"""
UNDICI = """
const { request } = require("UNDICI");
request(process.argv[2], {headersTimeout: 3000, connectTimeout: 3000})
  .then(answer => answer.body.text()).then(text => process.stdout.write(text))
  .catch(error => { console.error(error); process.exit(1); });
"""
HTTP_CLIENT = """
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPSConnection(url.hostname, timeout=3)
connection.request("GET", f"{url.path}?{url.query}")
print(connection.getresponse().read().decode(), end="")
"""
REQUESTS = """
import requests, sys
print(requests.get(sys.argv[1], timeout=3).text, end="")
"""
PHP = '<?php echo file_get_contents($argv[1], false, stream_context_create(["http" => ' \
      '["timeout" => 3, "ignore_errors" => true]]));'  # fmt: skip
PHP_CURL = "<?php $c = curl_init($argv[1]); curl_setopt($c, CURLOPT_TIMEOUT, 3); curl_exec($c);"
RUST = """
use std::io::{Read, Write}; use std::net::*; use std::time::Duration;
fn main() {
  let url = std::env::args().nth(1).unwrap(); let rest = url.strip_prefix("http://").unwrap();
  let (host, path) = rest.split_once('/').unwrap();
  let to = (host, 80).to_socket_addrs().unwrap().next().unwrap();
  let mut s = TcpStream::connect_timeout(&to, Duration::from_secs(3)).unwrap();
  let head = format!("GET /{} HTTP/1.1\\r\\nHost: {}\\r\\nConnection: close", path, host);
  write!(s, "{}\\r\\n\\r\\n", head).unwrap();
  let mut said = String::new(); s.read_to_string(&mut said).unwrap();
  print!("{}", said.split_once("\\r\\n\\r\\n").unwrap().1);
}
"""
SOURCES = {
    "java": ("Client.java", JAVA), "java-url": ("Client.java", JAVA_URL),
    "go": ("main.go", GO.replace("PROXY", "Proxy: http.ProxyFromEnvironment")),
    "go-no-proxy": ("main.go", GO.replace("PROXY", "")),
    "node-https": ("ask.cjs", NODE_HTTPS), "node-fetch": ("ask.cjs", NODE_FETCH),
    "undici": ("ask.cjs", UNDICI.replace("UNDICI", str(INSTALLED / "node_modules/undici"))),
    "http.client": ("ask.py", HTTP_CLIENT), "requests": ("ask.py", REQUESTS),
    "php": ("ask.php", PHP), "php-curl": ("ask.php", PHP_CURL), "rust": ("ask.rs", RUST),
}  # fmt: skip
# What brings a list of authorities of its own, and in which forms the run changes that: wget has
# GnuTLS', PHP's curl the system's, which is another one where it can be mounted.
OWN_LIST = {"wget": "transparent", "php-curl": "transparent", "rustls-own": ""}
CLIENTS = ("curl", "curl-no-proxy", "wget", "rustls", "rustls-own", *SOURCES)
_GO = shutil.which("go") or "/usr/local/go/bin/go"
_RUSTC = shutil.which("rustc") or str(Path.home() / ".cargo/bin/rustc")
NEEDS = {
    "curl": "curl", "wget": "wget", "java": "javac", "go": _GO, "node": "node", "php": "php",
    "undici": "node", "rustls": str(INSTALLED / "rust/target/debug/client"),
    "rust": _RUSTC, "http.client": sys.executable, "requests": sys.executable,
}  # fmt: skip


def lacking(client: str) -> str:
    """The reason not to run it here, "" if there is none."""
    if client.startswith("rustls") and shutil.which(program(client)) is None:
        return "no client in Rust: make clients builds it, with cargo"
    if shutil.which(program(client)) is None:
        return f"no {program(client)} here"
    if client == "undici" and not (INSTALLED / "node_modules/undici").exists():
        return "no undici: make clients installs it, with npm"
    if client == "php-curl" and not _has_php_curl():
        return "PHP has no curl here: apt-get install php-curl"
    return ""


@cache
def _has_php_curl() -> bool:
    done = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True)
    return "curl" in done.stdout.split()


def program(client: str) -> str:
    return NEEDS.get(client) or NEEDS[client.partition("-")[0]]


@cache
def words(client: str, folder: Path) -> list[str]:
    """The client's command without the URL; builds it in the folder."""
    if client.startswith("curl"):
        more = ["--noproxy", "*"] if client == "curl-no-proxy" else []
        return ["curl", "-sS", "--max-time", str(SECONDS), *more]
    if client == "wget":
        return ["wget", "-qO-", "--content-on-error", "--tries=1", f"--timeout={SECONDS}"]
    if client.startswith("rustls"):
        return [program(client), "own" if client == "rustls-own" else "system"]
    name, source = SOURCES[client]
    file = folder / client / name
    file.parent.mkdir()
    file.write_text(source)
    match program(client):
        case "javac":
            _build("javac", "-d", str(file.parent), str(file))
            return ["java", "-cp", str(file.parent), "Client"]
        case built if built == _GO:
            _build(_GO, "build", "-o", str(file.with_suffix("")), str(file))
            return [str(file.with_suffix(""))]
        case built if built == _RUSTC:
            _build(_RUSTC, "-o", str(file.with_suffix("")), str(file))
            return [str(file.with_suffix(""))]
    return [program(client), str(file)]


def _build(*command: str) -> None:
    static = {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOTOOLCHAIN": "local"}
    subprocess.run(command, check=True, env=os.environ | static, capture_output=True, timeout=300)


RUN = """
import os, subprocess, sys
os.chdir(sys.argv[1])
os.environ |= {"TELEMOCK_DATA": "data", "TELEMOCK_LOGS": "logs"}
done = subprocess.run([sys.executable, "-P", "-m", "app.cli", "run", "--json", *sys.argv[2:], "--",
                       "sh", "clients.sh"], capture_output=True, text=True)
print(done.stdout or done.stderr)
"""


FORMS: dict[str, tuple[str, ...]] = {
    "transparent": (),
    "transparent, block": ("--mode", "block"),
    "proxy": ("--no-transparent",),
    "proxy, block": ("--no-transparent", "--mode", "block"),
}


class Ran:
    """One run with all clients: what each said, its process id, and what was told of it."""

    def __init__(self, folder: Path, form: str, built: Path) -> None:
        self.folder, self.form = folder, form
        script = []
        for client in CLIENTS:
            if lacking(client):
                continue
            scheme = "http" if client == "rust" else "https"
            line = " ".join(f"'{word}'" for word in words(client, built))
            url = f"{scheme}://{HOST}/telemetry/index.html?v={client}"
            script.append(
                f"{line} '{url}' >{client}.out 2>{client}.err & echo $! >{client}.pid; wait"
            )
        (folder / "clients.sh").write_text("\n".join(script))
        hosts = f"127.0.0.1 localhost\n::1 localhost\n{ADDRESS} {HOST}\n"
        out = netns.run(RUN, str(folder), *FORMS[form], network=OUTSIDE, seconds=300,
                        files={"/etc/hosts": hosts})  # fmt: skip
        self.told: dict[str, Any] = json.loads(out)
        listed = subprocess.run([sys.executable, "-P", "-m", "app.cli", "captures", "list",
                                 "--json"], cwd=folder, capture_output=True, text=True,
                                env=os.environ | {"TELEMOCK_DATA": "data"})  # fmt: skip
        self.records = [json.loads(line) for line in listed.stdout.splitlines()]

    def said(self, client: str) -> str:
        return (self.folder / f"{client}.out").read_text()

    def record(self, client: str) -> dict[str, Any] | None:
        found = [one for one in self.records
                 if ["v", client] in one.get("request", {}).get("query", [])]  # fmt: skip
        assert len(found) <= 1
        return found[0] if found else None

    def who(self, client: str) -> str:
        return f"(pid {(self.folder / f'{client}.pid').read_text().strip()})"

    def gaps(self, client: str) -> list[str]:
        """The gaps of the verdict that the client is part of, by name or by its row."""
        of = self.who(client)
        rows = {row["outcome"] for row in self.told["sent"] if row["program"].endswith(of)}
        return [
            gap["id"]
            for gap in self.told["coverage"]["gaps"]
            if gap["id"] in rows or any(of in who for who in gap["who"])
        ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="module", params=FORMS)
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, built: Path
) -> Ran:
    netns.require()
    return Ran(tmp_path_factory.mktemp("clients"), request.param, built)


@pytest.mark.parametrize("client", CLIENTS)
def test_it_is_seen_or_the_verdict_names_it(ran: Ran, client: str) -> None:
    if why := lacking(client):
        pytest.skip(why)
    record, form = ran.record(client), ran.form.partition(",")[0]
    refuses = client in OWN_LIST and form != OWN_LIST[client]
    if form == "transparent" and not refuses:
        assert record is not None, (ran.folder / f"{client}.err").read_text()
        assert ran.gaps(client) == []
    if record is None:
        reason = "certificate_refused" if refuses else "round"
        assert reason in ran.gaps(client), ran.told["coverage"]
        assert ran.said(client) == ""
        return
    assert record["action"] == ("block" if "block" in ran.form else "mock")
    assert f"(pid {record['program']['pid']})" == ran.who(client)
    if "block" not in ran.form:
        assert ran.said(client) == LINE


def test_a_transparent_run_names_those_with_a_list_of_their_own_alone(ran: Ran) -> None:
    gaps = {gap["id"] for gap in ran.told["coverage"]["gaps"]}
    if not ran.form.startswith("transparent"):
        assert "proxy_ignored" in gaps
        return
    own = {"certificate_refused"} if not lacking("rustls-own") else set()
    assert gaps == own, ran.told["coverage"]["verdict"]
