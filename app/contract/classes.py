"""The classes of fields: what a value tells of whom, with the terms of W3C DPV and of fideslang.

Read by the store, which gives each field its class, and by every surface that prints it. A
profile and a person may name a class too. The vocabularies: DPV 2.2 with its extension PD, and
fideslang 3.2. They describe personal data first; a class that has no closer term gets a broad one.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

_DPV = "https://w3id.org/dpv#"
_PD = "https://w3id.org/dpv/pd#"

PERSON, SECRET = "person", "secret"
SAYS_PROFILE, SAYS_PERSON = "profile", "person"  # who beat the detectors
SURE = 0.5  # confidence from which a class counts in sums, metrics and alerts


class DataClass(NamedTuple):
    """`about`: PERSON, SECRET or "". `dpv` is an IRI, `fides` the key of a data category."""

    title: str
    help: str
    about: str
    dpv: str
    fides: str


# The gravest first: of a field whose values are of several classes the first one counts.
CLASSES: Mapping[str, DataClass] = {
    "secret": DataClass(
        "secret", "password, token, key, cookie, a URL with credentials",
        SECRET, _PD + "Authenticating", "system.authentication",
    ),
    "contact": DataClass(
        "contact", "e-mail address, telephone number, postal address",
        PERSON, _PD + "Contact", "user.contact",
    ),
    "identifier.person": DataClass(
        "identifier of a person", "name, user name, user id, home directory",
        PERSON, _PD + "Identifying", "user.unique_id",
    ),
    "identifier.device": DataClass(
        "identifier of a device", "host name, machine id, MAC address, serial number",
        PERSON, _PD + "DeviceBased", "user.device.device_id",
    ),
    "network": DataClass(
        "network", "IP address, domain, proxy",
        PERSON, _PD + "IPAddress", "user.device.ip_address",
    ),
    "location": DataClass(
        "location", "country, city, time zone, coordinates",
        PERSON, _PD + "Location", "user.location",
    ),
    "identifier.organisation": DataClass(
        "identifier of an organisation", "company, tenant, account, project",
        "", _DPV + "NonPersonalData", "user.professional_information.workplace",
    ),
    "identifier.installation": DataClass(
        "identifier of an installation", "id of an installation, instance, cluster or session",
        "", _PD + "UID", "system.operations",
    ),
    "licence": DataClass(
        "licence", "key, id, kind or end of a licence or subscription",
        "", _DPV + "CommerciallyConfidentialData", "system.operations",
    ),
    "text": DataClass(
        "free text", "message, error, stack, command, prompt: anything may stand in it",
        "", _DPV + "Data", "user.content",
    ),
    "usage": DataClass(
        "usage counter", "count, size, duration, rate, name of an event",
        "", _DPV + "ObservedData", "system.operations",
    ),
    "configuration": DataClass(
        "configuration", "setting, switch, mode, path, header of the protocol",
        "", _DPV + "NonPersonalData", "system.operations",
    ),
    "environment": DataClass(
        "environment", "operating system, hardware, runtime, Kubernetes names, time",
        "", _DPV + "NonPersonalData", "system.operations",
    ),
    "version": DataClass(
        "version", "version, build or release of the product or of another software",
        "", _DPV + "NonPersonalData", "system.operations",
    ),
    "opaque": DataClass(
        "opaque", "not readable, or nothing tells what it is",
        "", _DPV + "Data", "system",
    ),
}  # fmt: skip
_RANK = {id: n for n, id in enumerate(CLASSES)}

# Words for several classes, as a filter takes them.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "identifier": tuple(id for id in CLASSES if id.startswith("identifier.")),
    "personal": tuple(id for id, one in CLASSES.items() if one.about == PERSON),
    "sensitive": tuple(id for id, one in CLASSES.items() if one.about),
}
NAMES = (*CLASSES, *GROUPS)
# Classes that tell of somebody, or tell one sender from another.
TELLING = frozenset((*GROUPS["sensitive"], *GROUPS["identifier"]))


def members(name: str) -> tuple[str, ...]:
    """The classes that a name means: a class itself, or a group's."""
    return GROUPS.get(name, (name,))


def title(id: str) -> str:
    """The class in words; the id itself where a later version has named it, "none" without one."""
    return CLASSES[id].title if id in CLASSES else id or "none"


def words_of(ids: Iterable[str]) -> list[str]:
    """The words under which classes are looked for: their ids, titles and groups."""
    of = {*ids}
    groups = (name for name, within in GROUPS.items() if of.intersection(within))
    return [*in_order(of), *map(title, of), *groups]


def about(id: str) -> str:
    return CLASSES[id].about if id in CLASSES else ""


def dpv_of(id: str) -> str:
    """The IRI of the class in DPV, "" without one."""
    return CLASSES[id].dpv if id in CLASSES else ""


def fides_of(id: str) -> str:
    """The key of the class in fideslang, "" without one."""
    return CLASSES[id].fides if id in CLASSES else ""


def rank(id: str) -> int:
    """The gravest has 0."""
    return _RANK.get(id, len(_RANK))


def gravest(ids: Iterable[str]) -> str:
    """The class that counts of several, "" of none."""
    return min(ids, key=rank, default="")


def in_order(ids: Iterable[str]) -> list[str]:
    return sorted({*ids} - {""}, key=lambda id: (rank(id), id))


def markdown() -> str:
    """The table of classes in the documents."""
    rows = [
        "| Class | What | About | DPV | fideslang |",
        "|---|---|---|---|---|",
        *(
            f"| `{id}` | {one.title}: {one.help} | {one.about or '-'}"
            f" | [{one.dpv.rpartition('#')[2]}]({one.dpv}) | `{one.fides}` |"
            for id, one in CLASSES.items()
        ),
    ]
    return "\n".join(rows) + "\n"
