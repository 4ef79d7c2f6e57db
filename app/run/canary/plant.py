"""Chooses the values of one run, and plants them: in the environment, in files of a temporary
directory, and by `kernel` in the command's own view of the machine. Called by `telemock run`.
"""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from app.contract.canary.setting import SETTING
from app.contract.canary.spec import Canary, Spec
from app.run import transparent
from app.run.canary import facts, git, kernel

_LETTERS = "ghjkmnpqrstvwxyz"  # none of which hex has, so that no value is a number
_OTHERS = "abcdefghjkmnpqrstvwxyz23456789"
_LENGTH, CORE = 12, 10  # characters: the first 10 are 48 bits

# Variables that programs take a name from, beside those of the user, the host and the home.
_E_MAIL = ("EMAIL", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL", "GITLAB_USER_EMAIL")
_NAMES = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GITLAB_USER_NAME")
_PROJECT = ("GITHUB_REPOSITORY", "CI_PROJECT_PATH")
_ACTOR = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN")
_XDG = {
    "XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache", "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
}  # fmt: skip
ALONE = " alone: "  # between what was planted of a source, and why not more
_MAC, _MAC_HOW = "MAC address", "each interface's in /sys; the kernel's calls say the real one"
_UNIQUE = "CANARY_VALUE"  # who sends it sends the whole environment


@dataclass
class Planted:
    """The values of one run. `planted`: source and how; `not_planted`: source and why."""

    canaries: list[Canary] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)
    not_planted: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)  # the sidecar's
    steps: list[kernel.Override] = field(default_factory=list)
    hosts: str = ""  # the line of /etc/hosts that the planted host name needs

    def prepare(
        self, then: Callable[[], None] | None, hosts_copy: Path | None
    ) -> Callable[[], None] | None:
        """Returns a function for the command's process, before `then`."""
        if not self.steps:
            return then
        if hosts_copy is not None and self.hosts:
            with hosts_copy.open("a") as file:
                file.write(self.hosts)

        def run() -> None:
            kernel.become(self.steps)
            if then is not None:
                then()

        return run


def token() -> str:
    """A name that no other text has, and every place takes."""
    rest = "".join(secrets.choice(_OTHERS) for _ in range(_LENGTH - 1))
    return secrets.choice(_LETTERS) + rest


@contextlib.contextmanager
def planted(
    command: Sequence[str], environ: Mapping[str, str], *, own_home: bool = False
) -> Iterator[Planted]:
    """Plants for one run; takes everything back at its end."""
    base = Path(tempfile.mkdtemp(prefix="telemock-canary-"))
    base.chmod(0o711)  # for whomever the command becomes
    made = _Planting(base, environ)
    try:
        made.all(own_home)
        salts = _words(command)
        spec = Spec((*made.found.canaries, *made.real()), salts, made.places)
        file = base / "values.json"
        file.touch(0o600)
        file.write_bytes(msgspec.json.encode(spec))
        made.found.settings = {SETTING.name: str(file)}
        made.found.canaries = list(spec.canaries)
        yield made.found
    finally:
        made.clear()


def _words(command: Sequence[str]) -> tuple[str, ...]:
    """The words of the command that may be the product's name."""
    names = [Path(word).name for word in command[:6]]
    found = (w for name in names for w in (name, name.partition(".")[0], name.partition("@")[0]))
    return tuple(dict.fromkeys(w for w in found if re.fullmatch(r"[A-Za-z][\w.@-]{1,39}", w)))


class _Planting:
    """`found` is what has been planted so far."""

    def __init__(self, base: Path, environ: Mapping[str, str]) -> None:
        self._base, self.found = base, Planted(environ=dict(environ))
        self._steps: list[tuple[kernel.Override, Canary | None, str]] = []
        self._mounts: list[Path] = []  # empty directories, but for the command
        self._cwd = Path.cwd()
        self.home = ""

    def all(self, own_home: bool) -> None:
        user, host = token(), token()
        self._home(own_home)
        self._user(user)
        self._host(host)
        self._machine()
        self._git()
        self._variables()
        self._working_directory()
        self._kernel()

    def real(self) -> list[Canary]:
        """Values that are here anyway, but for those of no length."""
        return [c for c in (*facts.real(), *git.real(self._cwd)) if c.values]

    @property
    def places(self) -> dict[str, str]:
        """The directories that the command keeps things in."""
        return {str(self._cwd): "."} | ({self.home: "~"} if self.home else {})

    def clear(self) -> None:
        for path in self._mounts:  # nothing is mounted there but in the command's own view
            with suppress(OSError):
                path.rmdir()
        if self.home:
            shutil.rmtree(self.home, ignore_errors=True)
        for each in self._base.iterdir():
            with suppress(OSError):
                each.unlink()
        with suppress(OSError):
            self._base.rmdir()

    def _note(self, source: str, core: str, values: Sequence[str], how: str) -> Canary:
        canary = Canary(source, tuple(dict.fromkeys(values)), core[:CORE])
        self.found.canaries.append(canary)
        self.found.planted[source] = how
        return canary

    def _later(self, step: kernel.Override, canary: Canary, how: str) -> None:
        self._steps.append((step, canary, how))

    def _file(self, name: str, text: str, mode: int = 0o644) -> str:
        path = self._base / name
        path.touch(mode)
        path.chmod(mode)
        path.write_text(text, errors="surrogateescape")
        return str(path)

    def _home(self, own: bool) -> None:
        core = token()
        path = self._base / core
        path.mkdir(0o700)
        variables = {"HOME": str(path)}
        if own:
            self._mounts.append(path)
            real = self.found.environ.get("HOME") or str(Path("~").expanduser())
            canary = Canary("home", facts.path_spellings(str(path)), core[:CORE])
            step = kernel.directory("home", real, str(path))
            self._later(step, canary, "the real one, by another path")
            self._home_variables = variables
            return
        self.home = str(path)
        for name, below in _XDG.items():
            if name in self.found.environ:
                variables[name] = str(path / below)
        self._home_variables = variables
        self.found.environ |= variables
        self._note("home", core, facts.path_spellings(str(path)), "an empty one")
        self.found.notes.append(
            "the command began with an empty home: what it keeps there (a login, a choice, an id "
            "made earlier) was not there; --own-home leaves it that"
        )

    def _user(self, core: str) -> None:
        names = ("USER", "LOGNAME", "USERNAME")
        self.found.environ |= dict.fromkeys(names, core)
        canary = self._note("user", core, (core,), "the variables USER, LOGNAME and USERNAME")
        try:
            text = Path("/etc/passwd").read_text(errors="surrogateescape")
            account = pwd.getpwuid(os.geteuid())
        except (OSError, KeyError):
            return
        home = self._home_variables["HOME"] if self.home else account.pw_dir
        line = f"{core}:x:{account.pw_uid}:{account.pw_gid}:{core}:{home}:{account.pw_shell}\n"
        step = kernel.user(core, self._file("passwd", line + text))
        self._later(step, canary, "an account of this number, and the variables")

    def _host(self, core: str) -> None:
        self.found.environ |= dict.fromkeys(("HOSTNAME", "HOST", "COMPUTERNAME"), core)
        values = (core, f"{core}.localdomain")
        canary = self._note("host name", core, values, "the variables HOSTNAME and COMPUTERNAME")
        self.found.hosts = f"127.0.1.1\t{core}.localdomain {core}\n"
        self._later(kernel.host_name(core), canary, "the kernel's, and the variables")
        if Path("/etc/hostname").exists():
            self._also(kernel.file("/etc/hostname", self._file("hostname", core + "\n"),
                                   "/etc/hostname"))  # fmt: skip
        hosts = facts.read(Path("/etc/hosts"))
        if hosts:
            copy = self._file("hosts", f"{hosts}\n{self.found.hosts}")
            self._also(kernel.file("/etc/hosts", copy, "/etc/hosts"))

    def _also(self, step: kernel.Override) -> None:
        """A step that belongs to another one."""
        self._steps.append((step, None, ""))

    def _machine(self) -> None:
        machine, product, boot = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        for source, paths, value, values in (
            ("machine id", (facts.MACHINE_ID, facts.DBUS_ID), machine.hex, ()),
            ("boot id", (facts.BOOT_ID,), str(boot), ()),
            ("product UUID", (facts.PRODUCT,), str(product), (str(product).upper(),)),
        ):
            there = [path for path in paths if path.exists()]
            if not there:
                self.found.not_planted[source] = f"this machine has no {paths[0]}"
                continue
            spelled = (*facts.uuid_spellings(value), *values)
            canary = Canary(source, tuple(dict.fromkeys(spelled)))
            copy = self._file(source.replace(" ", "-"), value + "\n")
            self._later(kernel.file(source, copy, str(there[0])), canary, str(there[0]))
            for more in there[1:]:
                if not more.is_symlink():
                    self._also(kernel.file(str(more), copy, str(more)))
        interfaces = facts.addresses()
        for number, file in enumerate(interfaces):
            mac = "02:" + secrets.token_bytes(5).hex(":")  # of those that nobody is given
            step = kernel.file(_MAC, self._file(f"mac-{number}", mac + "\n"), str(file))
            self._later(step, Canary(_MAC, facts.mac_spellings(mac)), _MAC_HOW)
        if not interfaces:
            self.found.not_planted[_MAC] = "this machine has no network interface with one"

    def _git(self) -> None:
        mail, name, remote = token(), token(), token()
        address = f"{mail}@{mail}.example"
        self.found.environ |= {**dict.fromkeys(_E_MAIL, address), **dict.fromkeys(_NAMES, name)}
        self._git_variable("user.email", address)
        self._git_variable("user.name", name)
        self._note("git e-mail", mail, (address, mail, address.upper()), "git's and CI's variables")
        self._note("git name", name, (name,), "git's and CI's variables")
        config = git.config_of(self._cwd)
        if config is None:
            self.found.not_planted["git remote"] = "the working directory is in no repository"
            return
        url = f"https://git.{remote}.example/{remote}/{remote}.git"
        try:
            text = git.with_remote(config.read_text(errors="surrogateescape"), url)
        except OSError as e:
            self.found.not_planted["git remote"] = e.strerror or str(e)
            return
        canary = Canary("git remote", git.url_spellings(url), remote[:CORE])
        # It may hold credentials: actions/checkout keeps a token there.
        step = kernel.file("git remote", self._file("config", text, 0o600), str(config))
        self._later(step, canary, "the repository's configuration")

    def _git_variable(self, key: str, value: str) -> None:
        environ = self.found.environ
        given = environ.get("GIT_CONFIG_COUNT", "")
        number = int(given) if given.isdecimal() and len(given) < 6 else 0
        environ |= {
            f"GIT_CONFIG_KEY_{number}": key,
            f"GIT_CONFIG_VALUE_{number}": value,
            "GIT_CONFIG_COUNT": str(number + 1),
        }

    def _variables(self) -> None:
        for source, names in (
            ("CI project", _PROJECT), ("CI user", _ACTOR), ("an environment variable", (_UNIQUE,)),
        ):  # fmt: skip
            core = token()
            value = f"{core}/{core}" if names is _PROJECT else core
            self.found.environ |= dict.fromkeys(names, value)
            self._note(source, core, (value, core), ", ".join(names))

    def _working_directory(self) -> None:
        core = token()
        root = self._base / core
        root.mkdir(0o700)
        self._mounts.append(root)
        path = f"{root}{self._cwd}"
        canary = Canary("working directory", (path, f"{path}/"), core[:CORE])
        step = kernel.working(str(root), str(self._cwd))
        self._later(step, canary, "the real one, by another path")

    def _kernel(self) -> None:
        """Keeps the steps that the kernel allows."""
        refused = kernel.tried([step for step, _, _ in self._steps])
        for step, canary, how in self._steps:
            if step.source in refused:
                if canary is not None and step.source not in self.found.planted:
                    self.found.not_planted[step.source] = refused[step.source]
                elif canary is not None:
                    by = self.found.planted[step.source]
                    self.found.planted[step.source] = f"{by}{ALONE}{refused[step.source]}"
                continue
            self.found.steps.append(step)
            if canary is None:
                continue
            if canary not in self.found.canaries:
                self.found.canaries.append(canary)
            self.found.planted[step.source] = how
            if step.source == "working directory":
                self.found.environ["PWD"] = canary.values[0]
                self.found.environ.pop("OLDPWD", None)
            if step.source == "home":
                self.found.environ |= self._home_variables
        if "host name" in refused:
            self.found.hosts = ""
        if self.found.steps and not transparent.privileged():
            self.found.notes.append(
                "the command runs in a user namespace: files of other people look like nobody's"
            )
