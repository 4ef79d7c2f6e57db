"""The app and the sidecar of one run. `app.run.perform` starts them before the command; for a gate
they start when the command first needs them, and most that pass never do.
"""

import contextlib
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from app import contract, environment
from app.client.running import running_app
from app.contract import names, rules
from app.contract.matching import Host
from app.run import processes
from app.run.child import RunError
from app.run.processes import PYTHON, App, LocalError, RunningSidecar, free_port
from app.settings import Settings

_CA_SECONDS = 30


class Servers:
    """`own` are their processes, as far as they run. Raises LocalError."""

    def __init__(
        self,
        settings: Settings,
        profiles: Sequence[str],
        stack: contextlib.ExitStack,
        *,
        lazy: bool = False,
    ) -> None:
        self._settings, self._profiles, self._stack = settings, profiles, stack
        self.own: list[int] = []
        self.profiles: tuple[rules.Profile, ...] = ()
        self._app: App | None = None
        self._sidecar: RunningSidecar | None = None
        self._environ: Mapping[str, str] = {}
        self._stdout = subprocess.DEVNULL
        self._lock, self._done, self._over = threading.Lock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None
        stack.callback(self._end)  # after what the thread has started: it ends with the thread
        url = running_app(settings.data)
        if url and profiles:
            raise RunError(
                f"an app runs on {settings.data} ({url}) with profiles of its own\n\n"
                "hint: stop it, or give this run another TELEMOCK_DATA"
            )
        if url:
            self._app = App(url, settings.data, None)
        elif not lazy:
            self._start_app()

    @property
    def app(self) -> App:
        if self._app is None:
            raise LocalError("the app of this run was never started")
        return self._app

    @property
    def sidecar(self) -> RunningSidecar:
        if self._sidecar is None:
            raise LocalError("the sidecar of this run was never started")
        return self._sidecar

    @property
    def started(self) -> bool:
        """True if they run, or were to."""
        return self._sidecar is not None or self._thread is not None

    def hosts(self) -> list[Host]:
        """Hosts of the profiles that the app uses, or will."""
        if self._app is not None:
            found = self._app.profiles()
        else:
            sources = self._profiles or self._settings.profiles
            shipped = {profile.id: profile for profile in _shipped()}
            if all(str(source) in shipped for source in sources):  # compiled already
                found = tuple(shipped[str(source)] for source in sources)
            else:
                from app.profiles.compile import load_profiles

                found = load_profiles(sources).profiles
        self.profiles = tuple(found)
        return [host for profile in found for host in profile.hosts]

    def start(self, environ: Mapping[str, str], stdout: int) -> str:
        """Starts what does not run yet, and returns the proxy's URL."""
        self._environ, self._stdout = environ, stdout
        self._start()
        return self.sidecar.proxy

    def start_later(self, environ: Mapping[str, str], stdout: int, hosts: Sequence[Host]) -> str:
        """Makes what the command needs before they run, and returns the proxy's URL."""
        processes.require_sidecar()
        port = free_port()
        self._environ, self._stdout = {**environ, "MITM_PORT": str(port)}, stdout
        signed = {host.name.strip(".") for host in hosts}
        signed |= {host.name.strip(".") for one in _shipped() for host in one.hosts}
        made = subprocess.run(  # noqa: S603
            [*PYTHON, "addon.tls", str(self._settings.data / names.DIR_CA)],
            env=environment.child(),
            input="\n".join(signed),
            capture_output=True,
            text=True,
            timeout=_CA_SECONDS,
            check=False,
        )
        if made.returncode:
            raise LocalError(f"no certificate authority could be made: {made.stderr.strip()}")
        return f"http://127.0.0.1:{port}"

    def need(self) -> bool:
        """Starts them if they do not run, and waits; False if they cannot be started."""
        with self._lock:
            if self._thread is None and self._sidecar is None:
                self._thread = threading.Thread(target=self._run, name="telemock-servers")
                self._thread.start()
        if self._thread is not None:
            self._done.wait()
        return self.error is None

    def _run(self) -> None:
        """In a thread that stays: the kernel ends children with the thread that started them."""
        try:
            self._start()
        except Exception as e:
            self.error = e
        self._done.set()
        self._over.wait()

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._app is None:
            self._start_app()
        self._sidecar = self._start_sidecar(self._environ)
        self._stack.callback(self._sidecar.child.stop)
        self.own.append(self._sidecar.child.pid)

    def _start_app(self, port: int = 0) -> None:
        environ = {"TELEMOCK_PROFILES": ",".join(self._profiles)} if self._profiles else {}
        self._app = processes.start_app(
            self._settings.data, self._settings.logs, environ=environ, port=port
        )
        self._stack.callback(self._app.stop)
        if self._app.child:
            self.own.append(self._app.child.pid)

    def _start_sidecar(self, environ: Mapping[str, str]) -> RunningSidecar:
        return processes.start_sidecar(
            self._settings.data,
            self._settings.logs,
            self.app.url,
            environ=environ,
            stdout=self._stdout,
        )

    def revive(self) -> None:
        """Starts again what ended meanwhile, so that records are delivered and can be read."""
        if not self.app.answers():  # it was killed, or belonged to another run and ended with that
            self._start_app(self.app.port)
        if self.sidecar.child.ended:  # the new one delivers the spool of the old one
            self._sidecar = self.sidecar._replace(child=self._start_sidecar({}).child)


def _shipped() -> tuple[rules.Profile, ...]:
    data = Path(contract.__file__).with_name("builtin.json").read_bytes()
    return rules.load(data).rules.profiles
