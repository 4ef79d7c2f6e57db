"""`telemock rules …`: check profiles, and explain what they do to a request."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.group import CommandGroup
from app.cli.options import AsJson
from app.contract.actions import DENIED, Mode
from app.escape import as_json as json_of
from app.escape import paragraphs, plain
from app.report.tables import text_table

if TYPE_CHECKING:
    from app.profiles import Explanation

FAILED = 1
SHOWN = 12  # readings of a path that are listed

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)


@commands.command()
def check(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="Files, folders, or names of profiles.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with profiles: file, path in the file, value and remedy.

    Exit code 1 when there is something. What is asked for and not stated (licence, evidence) is a
    note.

    Example: telemock rules check my-profile.yaml
    """
    from app.profiles import ProfileError
    from app.profiles.compile import load
    from app.profiles.read import find
    from app.report.coverage import count
    from app.report.papers import papers_of
    from app.settings import load as load_settings

    sources = [*load_settings().sources(sources)]
    try:
        loaded = load(sources)
    except ProfileError as e:
        if as_json:
            found = [p._asdict() for p in e.problems]
            typer.echo(json_of({"ok": False, "problems": found}))
        else:
            typer.echo("\n\n".join(paragraphs(str(p)) for p in e.problems), err=True)
            typer.echo(f"\n{count(len(e.problems), 'problem', 'problems')}", err=True)
        raise typer.Exit(FAILED) from None
    papers = papers_of(loaded.written)
    if as_json:
        notes = [{"profile": p.profile, "lacks": n, "says": w} for p in papers for n, w in p.asked]
        typer.echo(json_of({"ok": True, "problems": [], "notes": notes}))
        return
    for source, profile, paper in zip(find(sources), loaded.rules.profiles, papers, strict=True):
        hosts = ", ".join(("." if h.suffix else "") + h.name for h in profile.hosts)
        rules = count(len(profile.rules), "rule", "rules")
        typer.echo(plain(f"{source.label}: {profile.id}: {rules} for {hosts}: right", 2000))
        for name, why in paper.asked:
            typer.echo(plain(f"{source.label}: note: no {name}: {why}; add `{name}: …`", 2000))


@commands.command("explain")
def explain_(
    url: Annotated[str, typer.Argument(help="With its query; https when it has no scheme.")],
    method: Annotated[str, typer.Option("--method", "-X")] = "GET",
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header", "-H", metavar="NAME: VALUE", help="Repeatable; Host may name another host."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="JSON body; @FILE reads a file, @- stdin.")
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Instead of TELEMOCK_PROFILES. Repeatable."),
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="In place of mock; by default TELEMOCK_MODE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which rule takes a request, by which name and path, and why the others do not.

    Exit code 1 when no rule does.

    Example: telemock rules explain 'https://cdn.cribl.io/telemetry/index.html?v=4.16.1'
    """
    from app.profiles import explain, load_profiles, seen_from_url
    from app.settings import load

    settings = load()
    headers = []
    for text in header or ():
        name, colon, value = text.partition(":")
        if not colon:
            raise typer.BadParameter(f"{text!r} is not a header: write 'Name: value'")
        headers.append((name.strip(), value.strip()))
    try:
        seen = seen_from_url(url, method, headers, _body(data))
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None
    found = explain(
        load_profiles(settings.sources(profile or settings.profiles_given)),
        seen,
        mode or settings.mode,
    )
    typer.echo(json_of(found) if as_json else _text(found), nl=as_json)
    if not found.rule:
        raise typer.Exit(FAILED)


def _body(data: str | None) -> bytes | None:
    if data is None:
        return None
    if not data.startswith("@"):
        return data.encode()
    try:
        return sys.stdin.buffer.read() if data == "@-" else Path(data[1:]).read_bytes()
    except OSError as e:
        raise typer.BadParameter(f"{data[1:]} cannot be read: {e.strerror}") from None


def _text(found: "Explanation") -> str:
    lines = f"{found.action}: {plain(found.reason)}\n"
    if len(found.names) > 1:
        lines += f"names: {', '.join(plain(name) for name in found.names)}\n"
    if len(found.paths) > 1:
        shown = [plain(path) for path in found.paths]
        lines += "path could be read as:\n" + "".join(f"  {path}\n" for path in shown[:SHOWN])
        lines += f"  and {len(shown) - SHOWN} more\n" if len(shown) > SHOWN else ""
    if found.unmatched == DENIED:
        lines += "what no rule takes on this host is blocked\n"
    if not found.considered:
        return lines
    rows = [
        (
            c.profile,
            c.rule,
            c.action,
            ("-> takes it" if c.rule == found.rule and c.profile == found.profile else "would too")
            if c.matched
            else f"no: {c.part} is {c.found or '(nothing)'}, wanted {c.wanted}",
        )
        for c in found.considered
    ]
    return lines + "\n" + text_table(("profile", "rule", "action", "matches"), rows)
