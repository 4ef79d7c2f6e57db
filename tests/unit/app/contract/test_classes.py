"""The table of classes: its groups, its order, and terms that its vocabularies have."""

import pytest

from app.contract.classes import (
    CLASSES,
    GROUPS,
    NAMES,
    PERSON,
    SECRET,
    about,
    gravest,
    in_order,
    markdown,
    members,
    title,
    words_of,
)

# Read in w3c/dpv, 2.2/pd/pd.csv and 2.0/dpv/modules/personal_data.csv.
DPV = frozenset((
    "pd#Authenticating", "pd#Contact", "pd#Identifying", "pd#DeviceBased", "pd#IPAddress",
    "pd#Location", "pd#UID", "dpv#NonPersonalData", "dpv#CommerciallyConfidentialData", "dpv#Data",
    "dpv#ObservedData",
))  # fmt: skip
# Read in fideslang's default_taxonomy/data_categories.py; none is deprecated in 3.2.0.
FIDES = frozenset((
    "system", "system.authentication", "system.operations", "user.contact", "user.unique_id",
    "user.device.device_id", "user.device.ip_address", "user.location", "user.content",
    "user.professional_information.workplace",
))  # fmt: skip


@pytest.mark.parametrize("id", CLASSES)
def test_a_class_has_words_and_terms_that_exist(id: str) -> None:
    one = CLASSES[id]
    assert one.title and one.help and one.about in ("", PERSON, SECRET)
    assert "/".join(one.dpv.split("/")[-1:]) in DPV and one.dpv.startswith("https://w3id.org/dpv")
    assert one.fides in FIDES
    assert title(id) == one.title and about(id) == one.about and members(id) == (id,)
    assert f"| `{id}` | " in markdown()


def test_groups_are_of_classes_and_no_name_means_two_things() -> None:
    assert len({*NAMES}) == len(NAMES)
    assert all(set(within) < CLASSES.keys() for within in GROUPS.values())
    assert members("identifier") == tuple(id for id in CLASSES if id.startswith("identifier."))
    assert "secret" in members("sensitive") and "secret" not in members("personal")


def test_a_class_of_a_later_version_is_shown_by_its_id() -> None:
    assert title("new") == "new" and about("new") == "" and title("") == "none"
    assert gravest(["new", "version"]) == "version" and gravest([]) == ""
    assert in_order(["version", "", "new", "secret"]) == ["secret", "version", "new"]


def test_words_of_a_class_have_its_groups() -> None:
    assert {"identifier.person", "personal", "identifier", "sensitive"} < {
        *words_of(["identifier.person"])
    }
    assert words_of(["version"]) == ["version", "version"]
