"""Reads a pod's annotations, which override the release's choices. Called by `app.inject.pod`."""

from collections.abc import Mapping
from typing import NamedTuple

from app.contract import faults, names
from app.contract.actions import ANSWERED, MODES
from app.contract.instant import until
from app.contract.rules import Profile
from app.contract.settings import listed
from app.inject.own_ca import APPEND
from app.inject.reasons import Reason, reason
from app.inject.resources import Resources, changed
from app.inject.settings import REDIRECTS, InjectSettings
from app.trust import ADDED, REPLACED

# Values that `trust` may list: runtimes, and the variables themselves.
RUNTIMES: Mapping[str, tuple[str, ...]] = {
    "node": ("NODE_EXTRA_CA_CERTS",),
    "deno": ("DENO_CERT",),
    "python": ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    "go": ("SSL_CERT_FILE",),
    "curl": ("CURL_CA_BUNDLE",),
    "git": ("GIT_SSL_CAINFO",),
    "aws": ("AWS_CA_BUNDLE",),
}
_FLAGS = ("true", "false")
_VARIABLES = {name: (name,) for name in (*ADDED, *REPLACED)}


class Wishes(NamedTuple):
    """A pod's choices. `redirect` is still auto if nobody chose; `all_until` "" means no end."""

    profiles: tuple[Profile, ...]
    mode: str
    redirect: str
    trust: tuple[str, ...]  # set besides NODE_EXTRA_CA_CERTS
    all_until: str
    resources: Resources
    appends: bool = False  # the sidecar's certificate to applications' own files
    rehearse: str = ""
    canary: bool = False  # what identifies the pod is looked for in all that it sends


def wishes(annotations: Mapping[str, str], settings: InjectSettings) -> Wishes | list[Reason]:
    """Parses the annotations; returns one reason for each that is invalid, if any is."""
    wrong = []

    def value(annotation: str, default: str) -> str:
        return annotations.get(annotation, "").strip() or default

    profiles = settings.rules.profiles
    if names.ANNOTATION_PROFILES in annotations:
        wanted = listed(annotations[names.ANNOTATION_PROFILES])
        known = {p.id: p for p in profiles}
        if unknown := [repr(n) for n in wanted or [""] if n not in known]:
            about = f"{', '.join(unknown)}, known are: {', '.join(known) or 'none'}"
            wrong.append(reason("unknown_profile", about))
        profiles = tuple(known[n] for n in wanted if n in known)
    mode = value(names.ANNOTATION_MODE, settings.mode)
    if mode and mode not in MODES:
        wrong.append(reason("mode_value", _expected(mode, MODES)))
    redirect = value(names.ANNOTATION_REDIRECT, settings.redirect)
    if redirect not in REDIRECTS:
        wrong.append(reason("redirect_value", _expected(redirect, REDIRECTS)))
    trust: dict[str, None] = {}
    for name in listed(annotations.get(names.ANNOTATION_TRUST, ",".join(settings.trust))):
        variables = RUNTIMES.get(name.lower()) or _VARIABLES.get(name)
        if variables is None:
            known_names = (*RUNTIMES, *_VARIABLES)
            wrong.append(reason("trust_value", _expected(name, known_names)))
        else:
            trust |= dict.fromkeys(variables)
    trust.pop("NODE_EXTRA_CA_CERTS", None)
    end = value(names.ANNOTATION_ALL_UNTIL, "")
    try:
        until(end)
    except ValueError:
        wrong.append(reason("all_until_value", repr(end)))
    resources = settings.both
    if asked := value(names.ANNOTATION_RESOURCES, ""):
        try:
            resources = changed(asked, resources)
        except ValueError as e:
            wrong.append(reason("resources_value", str(e)))
    rehearse = value(names.ANNOTATION_REHEARSE, "")
    rehearsed = None
    try:
        rehearsed = faults.asked(rehearse)
    except ValueError:
        wrong.append(reason("rehearse_value", repr(rehearse)))
    if rehearsed and not rehearsed.fails and mode and mode not in ANSWERED:
        wrong.append(reason("rehearse_mode", mode))
    if rehearsed and not rehearsed.is_of(profiles):
        wrong.append(reason("rehearse_only", rehearsed.only))
    own = value(names.ANNOTATION_OWN_CA, "")
    if own and own != APPEND:
        wrong.append(reason("own_ca_value", f"{own!r}, expected {APPEND}"))
    canary = value(names.ANNOTATION_CANARY, "false").lower()
    if canary not in _FLAGS:
        wrong.append(reason("canary_value", f"{canary!r}, expected true or false"))
    return wrong or Wishes(
        profiles,
        mode,
        redirect,
        tuple(trust),
        end,
        resources,
        bool(own),
        rehearse,
        canary == "true",
    )


def _expected(value: str, known: tuple[str, ...]) -> str:
    return f"{value!r}, expected {', '.join(known[:-1])} or {known[-1]}"
