"""Opens hosts that no profile names, for one run: a profile that is gone when the run has ended.

Called by `telemock run --open`.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from app.contract.actions import ACTIONS, OBSERVE, Action, Mode
from app.profiles import load_profiles
from app.profiles.compile import compiled_draft
from app.settings import Settings

_WITH_PORT = re.compile(r"([^:]+|\[.+\]):([0-9]{1,5})")
PROFILE = "opened"  # its id: `telemock learn` finds what came by it
CONTENT = "their TLS is opened; content is read, masked, and kept in"
# Nobody has said yet what is sensitive there: what is called so is kept as a token.
TOKENS = (
    "email", "e_mail", "username", "user_name", "user_id", "userid", "hostname", "host_name",
    "machine_id", "machineid", "device_id", "deviceid", "installation_id", "instance_id",
    "cluster_id", "distinct_id", "anonymous_id", "anonymousid", "account_id", "org_id", "cwd",
    "uid", "uuid", "guid", "login", "mail", "phone",
)  # fmt: skip


@contextlib.contextmanager
def opened(
    hosts: Sequence[str], settings: Settings, named: Sequence[str], mode: Mode | None = None
) -> Iterator[tuple[list[str], list[str]]]:
    """The profiles of such a run, with one that opens those `hosts` that the `named` ones do not
    name; and sentences that say what that means. Raises ProfileError."""
    sources = [*settings.sources(named or settings.profiles_given)]
    rules = load_profiles(sources)
    asked = [
        *dict.fromkeys(host.strip() for one in hosts for host in one.split(",") if host.strip())
    ]
    action: Action = mode or OBSERVE
    compiled_draft(_text(asked, action), "--open")
    known = {
        host: of[0].id
        for host in asked
        if (of := rules.of_host(_WITH_PORT.sub(r"\1", host).removeprefix(".")))
    }
    new = [host for host in asked if host not in known]
    said = [
        f"--open {host}: the profile {id} names it, and its rules hold"
        for host, id in known.items()
    ]
    if not new:
        yield sources, said
        return
    said.append(
        f"opened for this run alone: {', '.join(new)}: {CONTENT} {settings.data}; each "
        f"request is {ACTIONS[action].help}. No rule of this is kept: `telemock learn` drafts one"
    )
    with tempfile.TemporaryDirectory(prefix="telemock-open-") as folder:
        file = Path(folder) / f"{PROFILE}.yaml"
        file.write_bytes(_text(new, action))
        yield [*sources, str(file)], said


def _host(one: str) -> object:
    with_port = _WITH_PORT.fullmatch(one)
    return {"name": with_port[1], "ports": [int(with_port[2])]} if with_port else one


def _text(hosts: Sequence[str], action: str) -> bytes:
    profile = {
        "id": PROFILE,
        "title": "Hosts of no profile, opened for one run",
        "hosts": [_host(one) for one in hosts],
        "sensitive": [{"field": f"any.{name}", "as": "token"} for name in TOKENS],
        "rules": [{"id": "all", "action": action}],
    }
    return yaml.safe_dump(profile).encode()
