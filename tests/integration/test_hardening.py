"""What every process of ours does, looked at from outside."""

import re
import subprocess
import sys
from pathlib import Path

import httpx

from app.contract import rules as r
from tests.integration.test_slow_senders import served
from tests.sidecar import Sidecar


def no_dumps(pid: int) -> bool:
    limits = Path(f"/proc/{pid}/limits").read_text()
    content = Path(f"/proc/{pid}/coredump_filter").read_text().strip()
    return bool(re.search(r"Max core file size +0 +0 ", limits)) and int(content, 16) == 0


def asked(port: int, path: str, host: str) -> int:
    with httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{port}{path}"
        return client.get(url, headers={"host": host}).status_code


def test_the_app(tmp_path: Path) -> None:
    with served(tmp_path, TELEMOCK_HEALTH_HOSTS="health.acme.test") as app:
        assert no_dumps(app.process.pid)
        for path in ("/health", "/ready", "/metrics"):
            for host in ("localhost", f"127.0.0.1:{app.port}", "10.1.2.3:8000", "telemock.ns.svc"):
                assert asked(app.port, path, host) == 200
            assert asked(app.port, path, "health.acme.test") == 200
            assert asked(app.port, path, "evil.test") == 421
        # The mock answers its hosts, and by path whatever the name.
        assert asked(app.port, "/telemetry/index.html", "cdn.cribl.io") == 200
        assert asked(app.port, "/telemetry/index.html", "evil.test") == 200
        assert asked(app.port, "/health", "cdn.cribl.io") == 404  # the vendor's, not ours


def test_the_sidecar(tmp_path: Path) -> None:
    rules = r.Bundle(r.RuleSet())
    sidecar = Sidecar(tmp_path, rules, TELEMOCK_HEALTH_HOSTS="health.acme.test")
    try:
        assert no_dumps(sidecar.process.pid)
        for path in ("/health", "/ready", "/metrics"):
            for host in ("localhost", "10.1.2.3:17444", "health.acme.test", "pod-7"):
                assert asked(sidecar.health_port, path, host) == 200
            assert asked(sidecar.health_port, path, "evil.test") == 421
    finally:
        sidecar.process.terminate()
        sidecar.process.wait(20)


def test_the_redirect() -> None:
    script = "import addon.redirect.__main__ as r; r.main(['--help'])"
    wrapped = (
        "import resource, atexit; "
        "atexit.register(lambda: print('core', *resource.getrlimit(resource.RLIMIT_CORE))); "
    )
    done = subprocess.run(
        [sys.executable, "-c", wrapped + script], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.rstrip().endswith("core 0 0"), done.stderr
