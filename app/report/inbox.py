"""The inbox as somebody may see it: whole, or as far as the captures of some namespaces show it.

Called by `app.api.changes` and `app.web.changes`.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from app.contract.classes import title
from app.report.build import Rows
from app.store import LIMIT, Scope, Store
from app.store.changes import SENSITIVE, ChangePage, ChangeQuery, InboxCounts, InboxItem, Thing
from app.store.inventory import Field
from app.store.sightings import refused, sensitive


def subject(item: InboxItem) -> str:
    """The thing itself, without its place."""
    match item.kind:
        case "host":
            return item.host
        case "endpoint":
            return f"{item.method} {item.route}".strip()
        case "class":
            return f"{item.name}: {SENSITIVE.get(item.what) or title(item.what)}"
        case "unlisted":
            return f"{item.again} more"
        case _:
            return item.name


def place(item: InboxItem) -> str:
    """Its place: the endpoint of a field, the host of an endpoint or a certificate."""
    if item.kind in ("field", "class"):
        return f"{item.method} {item.host}{item.route}".strip()
    return item.host if item.kind in ("endpoint", "certificate") else ""


class First(NamedTuple):
    """A thing's first sight in some rows."""

    version: str
    first_ns: int


def sentence(counts: InboxCounts) -> str:
    """Says that things objected to were sent again, "" if none was."""
    if not counts.again:
        return ""
    what = "change that was" if counts.again == 1 else "changes that were"
    return (
        f"{counts.again} {what} objected to came again since: `telemock changes list --state "
        "objected` says which"
    )


def things(rows: Rows) -> dict[Thing, First]:
    """Everything that an item could be about, in the rows of all time."""
    found: dict[Thing, First] = {}

    def see(thing: Thing, version: str, first_ns: int) -> None:
        if thing not in found or first_ns < found[thing].first_ns:
            found[thing] = First(version, first_ns)

    ever = Scope()
    for endpoint in rows.endpoints(ever):
        of = (endpoint.profile, endpoint.host, endpoint.method, endpoint.route)
        see(Thing("host", *of[:2]), "", endpoint.first_ns)
        see(Thing("endpoint", *of), "", endpoint.first_ns)
    for row in rows.versions(ever):
        see(Thing("version", row.profile, name=row.version), row.version, row.first_ns)
    for field in rows.fields(ever):
        of = (field.profile, field.host, field.method, field.route)
        see(Thing("field", *of, field.path), field.version, field.first_ns)
        if kind := sensitive(Field(field.path, field.type, field.shape)):
            see(Thing("class", *of, field.path, kind), field.version, field.first_ns)
    for sender in rows.senders(ever):
        thing = refused(sender.outcome, sender.profile, sender.host, sender.namespace, sender.pod)
        if thing is not None:
            see(thing, sender.version, sender.first_ns)
    return found


def bounded(item: InboxItem, seen: dict[Thing, First]) -> InboxItem | None:
    """The item for somebody who may see these things only: not who decided and with which words,
    nor what others sent. None for an item about something else."""
    what = item.what if item.kind == "class" else ""
    names = (item.profile, item.host, item.method, item.route, item.name)
    first = seen.get(Thing(item.kind, *names, what))
    if first is None:
        return None
    return replace(
        item, version=first.version, first_ns=first.first_ns, what=what, again=0, last_ns=0,
        who="", note="", history=[],
    )  # fmt: skip


def page(
    store: Store, query: ChangeQuery, bound: Callable[[], dict[Thing, First]] | None
) -> ChangePage:
    """A page of the inbox; with a `bound` of what its things show. Raises QueryError."""
    if bound is None:
        return store.changes(query)
    # Version and text are searched in what this reader may see.
    whole = replace(query, version=None, text=None, limit=LIMIT)
    seen = bound()
    items: list[InboxItem] = []
    while True:
        found = store.changes(whole)
        for item in found.items:
            mine = bounded(item, seen)
            if mine is None or not _fits(mine, query):
                continue
            if len(items) == query.limit:
                return ChangePage(items, f"changes.{items[-1].id}")
            items.append(mine)
        if found.next is None:
            return ChangePage(items, None)
        whole = replace(whole, cursor=found.next)


def _fits(item: InboxItem, query: ChangeQuery) -> bool:
    names = (
        item.profile, item.host, item.method, item.route, item.name, item.what, item.version,
    )  # fmt: skip
    return query.version in (None, item.version) and (
        query.text is None or query.text.lower() in " ".join(names).lower()
    )
