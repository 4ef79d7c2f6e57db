"""The inbox: lists what was seen for the first time, and takes people's decisions on it.

The page (`app.web.changes`) shares its questions and its rules of who may decide and by which name.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import Depends, Path, Query, Request, Response

from app.analysis.of_namespaces import NamespaceRows
from app.api.common import Getter, Lister, ProfileId, Run, as_json, ask, refusal, router
from app.api.openapi import Decided, Deciding, DecidingOnAll, SayingClass, json_content
from app.auth import Caller, Policy
from app.contract.reviews import Kind, State
from app.report import inbox
from app.report.classes import said_of, word_on
from app.report.inbox import First
from app.runtime import Runtime
from app.store import SaidClass, Scope, StoreError
from app.store.changes import ChangeQuery, InboxItem, NewReview, Stale, Thing, os_user

_BODY_CAP = 64 << 10
_LARGEST = 2**63 - 1

routes = router()
DECIDES = Policy("update")
Decider = Annotated[Caller, Depends(DECIDES)]


def bound_of(
    runtime: Runtime, namespaces: tuple[str, ...] | None
) -> Callable[[], dict[Thing, First]] | None:
    """The bound of somebody who may read the captures of these namespaces only."""
    if namespaces is None:
        return None
    return lambda: inbox.things(
        NamespaceRows(runtime.rows(), namespaces, Scope(), runtime.decoders)
    )


def review(runtime: Runtime, caller: str, state: State, note: str, name: str) -> NewReview:
    """Raises ValueError, a sentence and a hint."""
    if runtime.settings.cluster:
        if name:
            raise ValueError(
                "name: in a cluster who decides is the token's user\n\nhint: leave it out"
            )
        return NewReview.by(caller, state, note)
    return NewReview.by(name.strip() or os_user(), state, note)


def told(item: InboxItem) -> str:
    """Tells who comes late of the decision that was taken meanwhile."""
    note = f" ({item.note[:200]})" if item.note else ""
    return f"{item.who} decided meanwhile: {item.state}{note}"


_Id = Annotated[int, Path(ge=1, le=_LARGEST)]


@routes.get(
    "/changes",
    summary="What was seen for the first time, and what was decided on it",
    responses={
        200: json_content(
            "One page of the inbox, newest first. Who may read some namespaces only sees what "
            "their captures show, without names, notes and counts.",
            None,
            "ChangePage",
        )
    },
)
async def changes(
    runtime: Run,
    caller: Lister,
    state: Annotated[State | None, Query(description="Only items in this state.")] = None,
    kind: Annotated[Kind | None, Query(description="Only this kind of thing.")] = None,
    profile: ProfileId = None,
    version: Annotated[
        str | None, Query(description="Only what this version sent first.", max_length=512)
    ] = None,
    text: Annotated[
        str | None, Query(description="Anywhere in the thing's names.", max_length=512)
    ] = None,
    after: Annotated[
        int | None, Query(description="Only ids above this one.", ge=0, le=_LARGEST)
    ] = None,
    cursor: Annotated[
        str | None, Query(description="`next` of the page before.", max_length=64)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    query = ChangeQuery(
        state=state, kind=kind, profile=profile, version=version, text=text, after=after,
        cursor=cursor, limit=limit,
    )  # fmt: skip
    bound = bound_of(runtime, caller.namespaces)
    return as_json(msgspec.json.encode(await ask(lambda: inbox.page(runtime.store, query, bound))))


@routes.get(
    "/changes/{id}",
    summary="One item of the inbox, with its history",
    responses={
        200: json_content("The item.", None, "InboxItem"),
        404: {"description": "There is none of that id."},
    },
)
async def change(runtime: Run, caller: Getter, id: _Id) -> Response:
    bound = bound_of(runtime, caller.namespaces)

    def read() -> InboxItem | None:
        item = runtime.store.change(id)
        return inbox.bounded(item, bound()) if item and bound else item

    found = await ask(read)
    if found is None:
        raise _none(id)
    return as_json(msgspec.json.encode(found))


@routes.post(
    "/changes/{id}",
    summary="Decide on one item: accept, watch, object, or open it again",
    responses={
        200: json_content("The item, as it is now.", None, "InboxItem"),
        404: {"description": "There is none of that id."},
        409: {"description": "Somebody decided on it meanwhile: it has another `revision`."},
        413: {"description": "The body is too large."},
    },
    openapi_extra={
        "requestBody": json_content(
            "The decision. In a cluster it takes the verb `update` on `captures.telemock.io`, in "
            "the whole cluster.",
            {"state": "objected", "note": "ask the vendor", "revision": 0},
            "Deciding",
        )
    },
)
async def decide(request: Request, runtime: Run, caller: Decider, id: _Id) -> Response:
    given = await _body(request, Deciding)
    made = _review(runtime, caller, given)
    try:
        item = await _write(lambda: runtime.store.decide(id, made, given.revision))
    except Stale as e:
        raise refusal(409, f"{told(e.change)}\n\nhint: read the item again") from None
    if item is None:
        raise _none(id)
    return as_json(msgspec.json.encode(item))


@routes.post(
    "/changes/{id}/class",
    summary="Say the class of an item's field, or take the word back",
    responses={
        200: json_content("The field's class, as it is now said.", None, "FieldClass"),
        404: {"description": "There is none of that id, or its field is known no more."},
        413: {"description": "The body is too large."},
    },
    openapi_extra={
        "requestBody": json_content(
            "The class. It beats the profile's and the detectors'. Who may decide may say it.",
            {"class": "identifier.installation"},
            "SayingClass",
        )
    },
)
async def say_class(request: Request, runtime: Run, caller: Decider, id: _Id) -> Response:
    given = await _body(request, SayingClass)
    item = await ask(lambda: runtime.store.change(id))
    if item is None:
        raise _none(id)
    try:
        who = review(runtime, caller.name, "open", "", given.name).who
        word = word_on(item, given.class_, who)
    except ValueError as e:
        raise refusal(422, str(e)) from None
    if not await _write(lambda: say(runtime, word)):
        raise _none(id)
    return as_json(msgspec.json.encode(said_of(word)))


def say(runtime: Runtime, word: SaidClass) -> bool:
    """Takes a person's word, and has the metrics follow. False where no such field is known."""
    taken = runtime.store.say_class(word)
    runtime.writer.counting.recount |= taken
    return taken


@routes.post(
    "/changes",
    summary="Decide on all open items that fit",
    responses={
        200: json_content("How many there were.", {"decided": 44}, "Decided"),
        413: {"description": "The body is too large."},
    },
    openapi_extra={
        "requestBody": json_content(
            "The decision, and on what. What came after the id `until` stays open.",
            {"state": "accepted", "profile": "cribl", "version": "4.16.1-20904e45", "until": 44},
            "DecidingOnAll",
        )
    },
)
async def decide_all(request: Request, runtime: Run, caller: Decider) -> Response:
    given = await _body(request, DecidingOnAll)
    made = _review(runtime, caller, given)
    query = ChangeQuery(
        kind=given.kind, profile=given.profile, version=given.version, text=given.text,
        until=min(given.until, _LARGEST),
    )  # fmt: skip
    count = await _write(lambda: runtime.store.decide_all(query, made))
    return as_json(msgspec.json.encode(Decided(count)))


def _none(id: int) -> Exception:
    return refusal(404, f"there is no change {id}\n\nhint: GET /api/v1/changes lists them")


def _review(runtime: Runtime, caller: Caller, given: Deciding | DecidingOnAll) -> NewReview:
    try:
        return review(runtime, caller.name, given.state, given.note, given.name)
    except ValueError as e:
        raise refusal(422, str(e)) from None


async def _write[T](step: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(step)
    except StoreError as e:
        raise refusal(503, str(e), {"Retry-After": "1"}) from None


async def _body[T](request: Request, type: type[T]) -> T:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_CAP:
            raise refusal(413, f"the body has more than {_BODY_CAP >> 10} KiB")
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise refusal(422, f"body: {e}\n\nhint: GET /openapi.json describes it") from None
