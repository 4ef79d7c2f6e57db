"""The inbox: what was seen for the first time, to accept, watch or object to; by forms alone.

Who may decide is asked anew with each decision. A decision names the revision that its form showed:
who comes late is told what was decided meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from msgspec.structs import replace

from app.api.changes import bound_of, review, say, told
from app.api.common import Run
from app.api.read import fields_for
from app.contract.classes import CLASSES
from app.contract.reviews import KINDS, STATES, Kind, State
from app.escape import plain
from app.report import inbox
from app.report.classes import NOBODY, FieldClass, class_of_field, word_on
from app.report.inbox import place, subject
from app.runtime import Runtime
from app.store import Scope, StoreError, VersionRow
from app.store.changes import (
    NAME,
    NOTE,
    ChangePage,
    ChangeQuery,
    InboxCounts,
    InboxItem,
    NewReview,
    Stale,
    os_user,
)
from app.web.entrance import Form, within
from app.web.page import (
    Lists,
    PageError,
    SignIn,
    Visitor,
    admit,
    ask,
    cookie_name,
    go,
    render,
)
from app.web.show import href, seek

PATH = "/changes"
_ROWS = 50
_ALL = "all"
_YEAR_S = 365 * 86400
_WORDS = {"open": "Open", "objected": "Objected", "watched": "Watched", "accepted": "Accepted"}
_VERBS: dict[State, str] = {"accepted": "Accept", "watched": "Watch", "objected": "Object"}

routes = APIRouter(include_in_schema=False)


class _Shown(NamedTuple):
    """A page of the inbox. `after` is the highest id that this browser knows, `last` the item that
    was decided on last."""

    page: ChangePage
    counts: InboxCounts
    after: int
    last: InboxItem | None
    versions: list[VersionRow]


def looked(request: Request) -> int:
    """The highest id when this browser looked last, 0 for never."""
    text = request.cookies.get(f"{cookie_name(request)}-looked", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def behind(item: InboxItem) -> str:
    """The address of the captures that show the thing, "" for none."""
    match item.kind:
        case "version":
            return seek("", profile=item.profile, version=item.name)
        case "certificate":
            namespace, _, pod = item.name.rpartition("/")
            return seek("kind:tls_rejected", host=item.host, namespace=namespace, pod=f"{pod}*")
        case "unlisted":
            return ""
    field = item.name if item.kind in ("field", "class") else ""
    return seek(
        "", profile=item.profile, host=item.host, method=item.method, route=item.route, field=field
    )


def _titles(runtime: Runtime, found: _Shown) -> list[tuple[str, str]]:
    """Of the profiles in use, and of others that captures name, as far as the visitor sees them."""
    named = [*(row.profile for row in found.versions), *(item.profile for item in found.page.items)]
    return runtime.papers.titles(named)


async def _may_decide(request: Request) -> bool:
    """True for somebody who may do so in the whole cluster."""
    try:
        return (await admit(request, "update")).namespaces is None
    except (SignIn, PageError):
        return False


async def _decides(request: Request, form: Form) -> Visitor:
    """Raises PageError, SignIn."""
    visitor = await admit(request, "update")
    if visitor.namespaces is not None:
        raise PageError(
            403,
            "You may read the captures of some namespaces, and decide on nothing."
            "\n\nhint: whoever may update captures.telemock.io in the whole cluster decides",
        )
    if form.get("form_token") != visitor.form_token:
        raise PageError(403, "This form is of another session.\n\nhint: load the page again")
    return visitor


Decides = Annotated[Visitor, Depends(_decides)]


def _review(runtime: Runtime, visitor: Visitor, form: dict[str, str]) -> NewReview:
    state = next((s for s in STATES if s == form.get("state")), None)
    if state is None:
        raise PageError(422, "The form names no decision.")
    try:
        return review(runtime, visitor.name, state, form.get("note", ""), form.get("name", ""))
    except ValueError as e:
        raise PageError(422, str(e)) from None


def _number(text: str) -> int:
    """A number of a form of ours, -1 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


async def _write[T](step: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(step)
    except StoreError as e:
        raise PageError(503, str(e)) from None


def _asked(state: str, kind: str, profile: str, version: str, text: str) -> ChangeQuery:
    def of(value: str) -> str | None:
        return value.strip() or None

    states: dict[str, State | None] = {s: s for s in STATES} | {_ALL: None}
    kinds: dict[str, Kind] = {k: k for k in KINDS}
    return ChangeQuery(
        state=states.get(state, "open"), kind=kinds.get(kind), profile=of(profile),
        version=of(version), text=of(text),
    )  # fmt: skip


def _given(query: ChangeQuery) -> dict[str, str]:
    """The query as parameters of an address, but for the state."""
    names = ("kind", "profile", "version", "text")
    return {name: value for name in names if (value := getattr(query, name))}


def _naming(runtime: Runtime, can: bool) -> dict[str, Any]:
    """Names for the templates. On a laptop a decision asks for a name."""
    named = not runtime.settings.cluster
    return {
        "can": can, "named": named, "user": os_user() if named else "", "verbs": _VERBS,
        "note_cap": NOTE, "name_cap": NAME, "behind": behind, "subject": subject, "place": place,
        "kinds": KINDS,
    }  # fmt: skip


@routes.get(PATH)
async def changes(
    request: Request, visitor: Lists, runtime: Run, state: str = "", kind: str = "",
    profile: str = "", version: str = "", text: str = "", cursor: str = "", new: str = "",
    done: str = "", decided: str = "",
) -> Response:  # fmt: skip
    query = _asked(state, kind, profile, version, text)
    since = looked(request)
    bound = bound_of(runtime, visitor.namespaces)

    def read() -> _Shown:
        store = runtime.store
        counts = store.inbox()
        after = since if since <= counts.last else 0  # of a store that is no more
        asked = replace(
            query, limit=_ROWS, cursor=cursor or None, after=after if new else None,
        )  # fmt: skip
        page = inbox.page(store, asked, bound)
        last = store.change(_number(done)) if bound is None and _number(done) > 0 else None
        versions = [] if bound else store.versions()
        return _Shown(page, counts, after, last, versions)

    found = await ask(read)
    can = bound is None and await _may_decide(request)
    shown = render(
        request, "changes.html", visitor, found=found, query=query, new=new, cursor=cursor,
        state=query.state or _ALL, given=_given(query), words=_WORDS, bounded=bound is not None,
        here=href(PATH, state=state, cursor=cursor, new=new, **_given(query)),
        decided=max(0, _number(decided)),
        profiles=await ask(lambda: _titles(runtime, found)), **_naming(runtime, can),
    )  # fmt: skip
    if bound is None and not cursor and not new and query == ChangeQuery(state="open"):
        shown.set_cookie(
            f"{cookie_name(request)}-looked", str(found.counts.last), max_age=_YEAR_S,
            httponly=True, samesite="strict", secure=request.url.scheme == "https",
        )  # fmt: skip
    return shown


@routes.post(PATH)
async def decide_all(visitor: Decides, runtime: Run, form: Form) -> Response:
    query = _asked("open", *(form.get(name, "") for name in ("kind", "profile", "version", "text")))
    query = replace(query, until=_number(form.get("until", "")))
    made = _review(runtime, visitor, form)
    count = await _write(lambda: runtime.store.decide_all(query, made))
    return go(href(PATH, decided=str(count), **_given(query)))


@routes.get(PATH + "/{id}")
async def change(request: Request, visitor: Lists, runtime: Run, id: str) -> Response:
    return await _one(request, visitor, runtime, _number(id))


@routes.post(PATH + "/{id}")
async def decide(request: Request, visitor: Decides, runtime: Run, form: Form, id: str) -> Response:
    made = _review(runtime, visitor, form)
    revision = _number(form.get("revision", ""))
    try:
        item = await _write(lambda: runtime.store.decide(_number(id), made, revision))
    except Stale as e:
        return await _one(
            request, visitor, runtime, e.change.id, 409, f"{told(e.change)}.", made.note
        )
    if item is None:
        raise _none(id)
    back = within(form.get("back", "")) if form.get("back") else href(PATH)
    return go(f"{back}{'&' if '?' in back else '?'}done={item.id}")


@routes.post(PATH + "/{id}/class")
async def say_class(visitor: Decides, runtime: Run, form: Form, id: str) -> Response:
    item = await ask(lambda: runtime.store.change(_number(id)))
    if item is None:
        raise _none(id)
    try:
        who = review(runtime, visitor.name, "open", "", form.get("name", "")).who
        word = word_on(item, form.get("class", ""), who)
    except ValueError as e:
        raise PageError(422, str(e)) from None
    if not await _write(lambda: say(runtime, word)):
        raise _none(id)
    return go(f"{PATH}/{item.id}")


def _none(id: int | str) -> PageError:
    return PageError(
        404,
        f"There is no change {plain(str(id), 40)}.\n\nhint: accepted ones make room for new ones",
    )


def _class_of(
    runtime: Runtime, namespaces: tuple[str, ...] | None, item: InboxItem
) -> FieldClass | None:
    """The class of the item's field, None of something else."""
    if item.kind not in ("field", "class"):
        return None
    of = (item.host, item.method, item.route, item.name)
    rows = fields_for(runtime, namespaces, Scope(profile=item.profile))
    return class_of_field(r for r in rows if (r.host, r.method, r.route, r.path) == of)


async def _one(
    request: Request, visitor: Visitor, runtime: Runtime, id: int, status: int = 200,
    said: str = "", note: str = "",
) -> Response:  # fmt: skip
    bound = bound_of(runtime, visitor.namespaces)

    def read() -> InboxItem | None:
        item = runtime.store.change(id)
        return inbox.bounded(item, bound()) if item and bound else item

    item = await ask(read)
    if item is None:
        raise _none(id)
    can = bound is None and await _may_decide(request)
    of = await ask(lambda: _class_of(runtime, visitor.namespaces, item))
    return render(
        request, "change.html", visitor, status, item=item, of_class=of, classes=CLASSES,
        nobody=NOBODY, said=said, note=note, words=_WORDS,
        bounded=bound is not None, **_naming(runtime, can),
    )  # fmt: skip
