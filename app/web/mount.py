"""Adds the page to the app: its views, its files, the way in, and how it refuses.

Called by `app.main`.
"""

from fastapi import FastAPI

from app.web import (
    assets,
    captures,
    changes,
    complete,
    entrance,
    facets,
    field,
    fields,
    health,
    long_list,
    overview,
    profiles,
    report,
    tail,
    versions,
    workloads,
)
from app.web.feed import Feed
from app.web.page import PageError, SignIn, refuse


def mount(app: FastAPI) -> None:
    views = (
        overview, captures, field, fields, versions, changes, workloads, profiles, report, health,
    )  # fmt: skip
    parts = (long_list, tail, complete, facets)  # before the captures, whose ids could be named so
    for room in (*parts, *views, entrance, assets):
        app.include_router(room.routes)
    app.include_router(entrance.api)
    app.state.feed = Feed(lambda: app.state.runtime.store)
    app.add_exception_handler(PageError, refuse)
    app.add_exception_handler(SignIn, refuse)
