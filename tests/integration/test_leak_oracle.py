"""Nothing that a rule keeps here reaches the vendor, in whatever spelling and by whatever entrance;
and nothing else is ever answered here.

LEAKS_REQUESTS is how many requests are made up (1,200; `make nightly` takes 100,000), LEAKS_SEED
what they are made up from: it is printed, and the same one makes the same requests.
"""

import os
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

from app.contract.rules import Bundle
from tests import netns
from tests.leaks import corpus, entrances, made_up
from tests.leaks.corpus import HOSTS, Case
from tests.leaks.entrances import Request, Ways
from tests.leaks.vendor import ANSWER, Vendor, whole
from tests.sidecar import HOST, LINE, ROOT, Sidecar, authority, bundle_of, rule

REQUESTS = int(os.environ.get("LEAKS_REQUESTS", "1200"))
SEED = int(os.environ.get("LEAKS_SEED", str(random.SystemRandom().randrange(2**32))))
OURS = (LINE.strip(), b"telemock")  # what our answers have in them


class Lab:
    """One sidecar, its ways, and all that reached the vendor."""

    def __init__(
        self, directory: Path, mode: str, redirect: str = "", bundle: Bundle | None = None
    ) -> None:
        self.redirect = redirect
        self._namespace = netns.Namespace() if redirect else None
        ca, context = authority(directory, *HOSTS)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.tls, self.plain = self.inside(Vendor, context), self.inside(Vendor)
        resolve = [
            f"{host}:{port}=127.0.0.1:{vendor.port}"
            for host in (*HOSTS, HOST + ".", "nobody.test")
            for port, vendor in ((443, self.tls), (80, self.plain))
        ]
        resolve += [
            f"{host}:{port}=127.0.0.1:{vendor.port}"
            for host in (HOST, corpus.LINES)
            for port, vendor in zip(corpus.PORTS, (self.tls, self.plain), strict=True)
        ]
        environ = {
            "TELEMOCK_MODE": mode,
            "TELEMOCK_UPSTREAM_CA": str(ca),
            "TELEMOCK_RESOLVE": ",".join(resolve),
        }
        if redirect == "hosts":
            environ |= {"MITM_PORT": "", "TELEMOCK_TRANSPARENT": "127.0.0.1:17443,[::1]:17443",
                        "TELEMOCK_HOSTS": f"192.0.2.1={HOST},100::1={HOST}"}  # fmt: skip
        elif redirect == "loopback":
            environ |= {"MITM_PORT": "", "TELEMOCK_LOOPBACK": f"127.0.0.2={HOST}"}
        self.sidecar = self.inside(
            Sidecar, directory / "sidecar", bundle or corpus.bundle(), **environ
        )
        self.ways = Ways(self.sidecar, corpus.VOUCHED, self._dial() if redirect else None)
        self.all = bytearray()  # what reached the vendor
        self.kept: list[str] = []  # marks that must not
        self.count = 0

    def inside(self, do: Any, *args: Any, **named: Any) -> Any:
        if self._namespace is None:
            return do(*args, **named)
        return self._namespace.inside(do, *args, **named)

    def _dial(self) -> Callable[[int], socket.socket]:
        address = "127.0.0.2"
        if self.redirect == "hosts":
            address = "192.0.2.1"
            command = [
                sys.executable,
                "-m",
                "addon.redirect",
                "--hosts",
                f"{address}={HOST},100::1={HOST}",
            ]
            done = self.inside(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(done.stderr)
        return lambda port: socket.create_connection((address, port), entrances.SECONDS)

    def check(self, way: str, request: Request, expected: corpus.Expected) -> None:
        self.count += 1
        mark = f"mark-{self.count:x}-"
        try:
            got = self.inside(self.ways.send, way, request, mark)
        except TimeoutError:
            raise AssertionError("neither answered nor closed") from None
        except ssl.SSLCertVerificationError:
            raise AssertionError("relayed unread") from None
        reached = self.tls.take() + self.plain.take()
        self.all += reached
        ours = any(word in got for word in OURS)
        if expected == "passes":
            assert mark.encode() in reached and not ours, got
            assert b"x-vendor: yes" in got
            if not way.endswith("h2"):
                line = f"{request.method} {request.target.format(mark=mark)} {request.version}\r\n"
                assert line.encode("latin-1") in reached
                # Beside it may be what an earlier HTTP/2 connection still acknowledged.
                sent = reached[reached.index(line.encode("latin-1")) :]
                body = (request.body or b"").replace(b"{mark}", mark.encode())
                assert sent[: whole(sent)].endswith(b"\r\n\r\n" + body)
            return
        self.kept.append(mark)
        assert mark.encode() not in reached, got
        if expected == "second":
            return
        assert b"x-vendor" not in got and ANSWER not in got
        if expected == "closed":
            assert LINE.strip() not in got

    def close(self) -> None:
        """Ends, and looks once more: also what came late has not come."""
        self.sidecar.stop()
        self.all += self.tls.take() + self.plain.take()
        self.tls.close()
        self.plain.close()
        if self._namespace is not None:
            self._namespace.close()
        late = [mark for mark in self.kept if mark.encode() in self.all]
        assert not late


@pytest.fixture(scope="module", params=["mock", "block"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    scope="module", params=["", "hosts", "loopback"], ids=["proxy", "hosts", "loopback"]
)
def lab(
    mode: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    if request.param:
        if os.geteuid():
            pytest.skip("needs root")
        netns.require()
    lab = Lab(tmp_path_factory.mktemp("leaks"), mode, request.param)
    yield lab
    lab.close()


def test_the_corpus(lab: Lab) -> None:
    faults = []
    for case in corpus.cases():
        for way in case.ways or lab.ways.names():
            if way not in lab.ways.names() or (way.startswith("direct") and strange(case)):
                continue
            try:
                lab.check(way, case.request, case.expected)
            except AssertionError as e:
                faults.append(f"{way}: {case.expected}: {case.spelling}: {e}"[:300])
    assert not faults, "\n".join(faults)


def strange(case: Case) -> bool:
    """Whether the case is about hosts to which no redirect leads here."""
    return not {HOST, *case.request.hosts} & {HOST} or case.request.sni not in (HOST, corpus.OTHER)


def test_a_further_request_of_a_connection_to_another_host(lab: Lab) -> None:
    if lab.redirect:
        pytest.skip("no other host is reached by the redirect here")
    request = "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n"
    with lab.sidecar.connect(corpus.OTHER, 80, tls=False) as connection:
        for mark in ("first-", "again-"):
            connection.sendall(request.format(f"/?{mark}", corpus.OTHER).encode())
            assert b"x-vendor" in connection.recv(1 << 16)
            assert mark.encode() in lab.plain.take()
        got = entrances.exchange(connection, request.format("/telemetry/?third-", HOST).encode())
    assert got == b"" and b"third-" not in lab.plain.take()
    lab.kept.append("third-")
    record = lab.sidecar.record(lambda x: x.kind == "refused" and x.host == HOST)
    assert record.reason == "unjudged"


@pytest.mark.parametrize("kind", ["telemetry", "anything_else"])
def test_what_is_made_up(lab: Lab, kind: str) -> None:
    # A sixth of all for each sidecar; of these a third is what passes.
    share = REQUESTS * (2 if kind == "telemetry" else 1) // 18
    print(f"LEAKS_SEED={SEED}: {share} requests of {kind}")

    @seed(SEED)
    @settings(
        max_examples=share, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(getattr(made_up, kind)(), st.sampled_from(lab.ways.names()))
    def run(request: Request, way: str) -> None:
        assume(kind != "telemetry" or made_up.fits(way, request))
        lab.check(way, request, "kept" if kind == "telemetry" else "passes")

    run()


@pytest.mark.root
@pytest.mark.parametrize("redirect", ["hosts", "loopback"])
@pytest.mark.parametrize("mode", ["", "mock", "block", "observe"])
def test_a_host_whose_profile_has_not_come_yet_fails_closed(
    tmp_path: Path, mode: str, redirect: str
) -> None:
    """A pod that starts while the app is away knows which hosts lead to it, not what they are."""
    netns.require()
    others = bundle_of(rule("all", "/"), hosts=("other.example",))
    lab = Lab(tmp_path, mode, redirect, others)
    try:
        for way in lab.ways.names():
            lab.check(way, Request(), "passes" if mode == "observe" else "kept")
    finally:
        lab.close()
    records = [(x.profile, x.rule, x.host) for x in lab.sidecar.records()]
    assert records == [("not-loaded", "all", HOST)] * 3
    assert HOST in lab.sidecar.log.read_text()
