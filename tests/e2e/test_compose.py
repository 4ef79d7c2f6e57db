"""The two services of docker-compose.yml, used from outside as a newcomer would.

Run by `make compose-test`, which builds the images first. Needs an engine and docker-compose.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.run.processes import free_port
from tests.waiting import wait_for

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
VENDOR = "https://cdn.cribl.io/telemetry/index.html"
LINE = "cribl /// living the stream!\n"
SECRET = "b5f1c1d0-lic-that-must-not-be-written"


class Stack:
    """One `docker-compose up` in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.ca = folder / "ca.pem"
        self.port, self.proxy_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        compose = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        self.compose = [
            *compose, "-p", f"telemock-test-{os.getpid()}",
            "--project-directory", str(folder), "-f", str(ROOT / "docker-compose.yml"),
        ]  # fmt: skip
        self.environ = {
            **os.environ,
            "PORT": str(self.port),
            "MITM_PORT": str(self.proxy_port),
            "TAG": os.environ.get("TAG", ""),
            "TELEMOCK_USER": f"{os.getuid()}:{os.getgid()}" if os.getuid() else "2930:2930",
        }

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self.compose, *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        return self.run("exec", "-T", service, *command, check=check)

    def curl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def through_proxy(self, url: str) -> str:
        proxy = f"http://127.0.0.1:{self.proxy_port}"
        return self.curl("--proxy", proxy, "--cacert", str(self.ca), url)

    def captures(self, **filters: str) -> list[dict[str, object]]:
        token = self.inside("mock-server", "cat", "/data/token").strip()
        answer = httpx.get(
            f"{self.url}/api/v1/captures",
            params=filters,
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        answer.raise_for_status()
        items: list[dict[str, object]] = answer.json()["items"]
        return items


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both services, after one proxied and one direct request."""
    stack = Stack(tmp_path_factory.mktemp("compose"))
    try:
        stack.run("up", "--no-build", "-d")
        stack.ca.write_text(
            wait_for(lambda: stack.inside("mitmproxy", "cat", "/data/ca/ca.pem", check=False), 30)
        )
        assert stack.through_proxy(f"{VENDOR}?v=4.16.1-20904e45&lic={SECRET}") == LINE
        direct = f"{stack.url}/telemetry/index.html?version=1.2.3"
        assert stack.curl("--noproxy", "*", direct) == LINE
        yield stack
    finally:
        print(stack.run("logs", "--no-color", check=False))
        stack.run("down", "--volumes", "--timeout", "5", check=False)


def test_the_api_shows_the_proxied_request_masked(stack: Stack) -> None:
    captures = wait_for(lambda: stack.captures(host="cdn.cribl.io"), 30)
    assert "4.16.1" in json.dumps(captures)
    assert SECRET not in json.dumps(captures)


def test_the_log_file_shows_the_direct_request(stack: Stack) -> None:
    lines = wait_for(
        lambda: [
            line
            for line in (stack.logs / "telemetry_requests.log").read_text().splitlines()
            if "version=1.2.3" in line
        ],
        30,
    )
    assert "version=1.2.3" in json.loads(lines[0])["url"]


def test_the_api_asks_for_the_token_and_health_does_not(stack: Stack) -> None:
    assert httpx.get(f"{stack.url}/api/v1/captures", trust_env=False).status_code == 401
    assert httpx.get(f"{stack.url}/health", trust_env=False).status_code == 200


def test_both_containers_become_healthy(stack: Stack) -> None:
    wait_for(lambda: stack.run("ps").count("(healthy)") == 2, 30)


def test_the_command_line_in_the_image_reports(stack: Stack) -> None:
    wait_for(lambda: "cdn.cribl.io" in stack.inside("mock-server", "telemock", "report"), 30)


def test_a_stopped_app_costs_neither_answer_nor_capture(stack: Stack) -> None:
    stack.run("stop", "mock-server")
    try:
        assert stack.through_proxy(f"{VENDOR}?v=4.17.0-app-is-away") == LINE
    finally:
        stack.run("start", "mock-server")
    wait_for(lambda: healthy(stack.url), 30)
    wait_for(lambda: "app-is-away" in json.dumps(stack.captures(host="cdn.cribl.io")), 30)


@pytest.mark.parametrize("service", ["mock-server", "mitmproxy"])
def test_the_containers_can_do_little(stack: Stack, service: str) -> None:
    assert stack.inside(service, "id", "-u").strip() == stack.environ["TELEMOCK_USER"].split(":")[0]
    assert "rw" not in stack.inside(
        service, "sh", "-c", "touch /opt/x 2>/dev/null && echo rw || true"
    )
    assert stack.inside(service, "sh", "-c", "command -v pip gcc cc make; true") == ""
    assert stack.inside(service, "sh", "-c", "grep CapEff /proc/1/status").split()[1] == "0" * 16


def test_the_secret_is_nowhere(stack: Stack) -> None:
    for path in stack.logs.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    assert SECRET not in stack.run("logs", "--no-color")
