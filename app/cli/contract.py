"""Commands `telemock contract …`: freeze, check and diff."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.ending import DONE, FAILED, GATE_OPEN, USAGE, Failure
from app.cli.group import CommandGroup
from app.cli.options import AsJson, Server, Since

if TYPE_CHECKING:
    from app.client.source import Source
    from app.gate.contract_file import Contract
    from app.gate.freeze import Frozen

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)

_REQUIRED_FROM = 30  # see app.gate.freeze
_FEWER = "name rules' routes in the profile, such as /v1/{id}, so that endpoints are few"
_NAMED = 12  # profiles or versions that a hint names

_AsMarkdown = Annotated[bool, typer.Option("--markdown", help="For a ticket.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="The contract.")]
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")
]


@commands.command()
def freeze(
    profile: Annotated[
        str, typer.Option(metavar="ID", help="The product's; by default the only one seen.")
    ] = "",
    version: Annotated[
        str, typer.Option(help="Of the product; by default all, where none is known.")
    ] = "",
    required_from: Annotated[
        int,
        typer.Option(min=1, help="Requests that all carried a field, to call it required."),
    ] = _REQUIRED_FROM,
    output: _Output = None,
    server: Server = "",
) -> None:
    """Write the contract of a version: all that it was seen to send, without values.

    Read it, edit it, and keep it in git; its order is fixed, so that git diffs are small.

    Example: telemock contract freeze --profile cribl --version 4.16.1 -o cribl.yaml
    """
    from app.client.source import connect
    from app.contract.files import write_to
    from app.gate.contract_file import written
    from app.profiles.read import FILE_CAP
    from app.settings import load

    with connect(load(), server) as source:
        frozen, head = _frozen(source, profile, version, required_from)
    text = written(frozen.contract, head)
    if len(text) > FILE_CAP:
        raise Failure(
            f"the contract would have {len(text)} bytes, the limit is {FILE_CAP}\n\nhint: {_FEWER}"
        )
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_to(output, [text.encode()], 0o644)


@commands.command()
def check(
    file: _File,
    since: Since = None,
    version: Annotated[
        str,
        typer.Option(help="Only captures of this version, and of endpoints that never name one."),
    ] = "",
    profile: Annotated[
        str, typer.Option(metavar="ID", help="Whose captures; by default the contract's.")
    ] = "",
    watch: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="Check what comes, so long or to the first violation."
        ),
    ] = None,
    allow_unchecked: Annotated[
        bool,
        typer.Option("--allow-unchecked", help="Exit code 0 also where not all could be checked."),
    ] = False,
    as_markdown: _AsMarkdown = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="For code scanning.")] = False,
    as_junit: Annotated[bool, typer.Option("--junit", help="For CI: GitLab, Jenkins.")] = False,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Beside the text on stdout."),
    ] = None,
    server: Server = "",
) -> None:
    """Check captures against a contract. Exit code 1: it is violated, or nothing was captured;
    122: it is not, as far as it could be checked.

    Without --since everything that was ever seen is checked; with it, captures of that time.

    Example: telemock contract check cribl.yaml --version 4.17.0 --junit -o contract.xml
    """
    from app.cli.progress import waiting
    from app.client.source import connect
    from app.contract.files import write_to
    from app.escape import as_json as json_of
    from app.gate import show
    from app.gate.check import check as checked
    from app.gate.check import declared, kept, left_open, unchecked
    from app.gate.junit import junit
    from app.gate.live import watch as watched
    from app.gate.result import Checked
    from app.gate.sarif import sarif
    from app.gate.stored import behaviour, versions
    from app.settings import load
    from app.store import Scope

    given = [as_markdown, as_sarif, as_junit, as_json]
    if sum(given) > 1:
        raise typer.BadParameter("give one of --markdown, --sarif, --junit and --json")
    if output is not None and not any(given):
        raise typer.BadParameter("--output beside none of --markdown, --sarif, --junit and --json")
    if watch is not None and since is not None:
        raise typer.BadParameter("--watch checks what comes: give it without --since")
    contract, written = _read(file)
    of = profile or contract.profile
    with connect(load(), server) as source:
        if watch is not None:
            began = time.time_ns()
            seen = watched(source, contract, of, version or None, watch)
            report = source.report(Scope(since_ns=began, profile=of))
        else:
            with waiting("reading what was recorded"):
                report = source.report(Scope(since_ns=since, profile=of))
                seen = behaviour(source, report, of, version or None, since)
        violations = checked(contract, seen)
        # Requests that never name a version are of each, and prove nothing of one alone.
        if not seen.captures or (version and version not in seen.versions and not violations):
            raise _nothing(versions(source), of, version, "nothing was checked")
    found = Checked(
        file=str(file), profile=of, of=f"{of} {version}".rstrip(), captures=seen.captures,
        planned=[one.key for one in contract.endpoints], kept=kept(contract, seen, violations),
        violations=violations,
        doubts=left_open(contract, seen), unchecked=[*unchecked(contract, seen), *seen.notes],
        declared=declared(contract, seen), coverage=report.coverage,
    )  # fmt: skip
    shown = show.text(found)
    if as_markdown:
        shown = show.markdown(found)
    elif as_sarif:
        shown = sarif(found, written)
    elif as_junit:
        shown = junit(found)
    elif as_json:
        shown = json_of(found) + "\n"
    if output is not None:
        write_to(output, [shown.encode()], 0o644)
        shown = show.text(found)
    typer.echo(shown, nl=False)
    is_open = bool(found.unchecked) and not allow_unchecked
    raise typer.Exit(FAILED if found.violations else GATE_OPEN if is_open else DONE)


@commands.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="FILE", help="A contract, or a version.")],
    other: Annotated[str, typer.Argument(metavar="FILE|VERSION", help="Likewise.")],
    as_markdown: _AsMarkdown = False,
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """Compare two contracts, or a contract with a version as it was seen. Exit code 1: they differ.

    Example: telemock contract diff cribl.yaml 4.17.0
    """
    from app.client.source import connect
    from app.escape import as_json as json_of
    from app.gate.diff import diff as compared
    from app.gate.diff import markdown, text
    from app.settings import load

    files = {name: _read(Path(name))[0] for name in (one, other) if os.path.lexists(name)}
    if not files:
        raise typer.BadParameter(
            f"{one!r} and {other!r} are no files: name one; `telemock diff` compares two versions"
        )
    if {one, other} - files.keys():
        profile = next(iter(files.values())).profile
        with connect(load(), server) as source:
            for version in {one, other} - files.keys():
                frozen, _ = _frozen(source, profile, version, _REQUIRED_FROM)
                files[version] = frozen.contract
    found = compared(files[one], files[other], (one, other))
    shown = markdown(found) if as_markdown else text(found)
    typer.echo(json_of(found) if as_json else shown, nl=as_json)
    raise typer.Exit(FAILED if found.differences else DONE)


def _read(file: Path) -> "tuple[Contract, str]":
    """A wrong contract ends as wrong usage: code 1 is for a contract that is violated."""
    from app.gate.contract_file import read_with_text
    from app.profiles.problems import ProfileError

    try:
        return read_with_text(file)
    except ProfileError as e:
        raise Failure(str(e), USAGE) from None


def _frozen(
    source: "Source", profile: str, version: str, required_from: int
) -> tuple["Frozen", list[str]]:
    from pydantic import ValidationError

    from app.escape import plain
    from app.gate.freeze import freeze, head
    from app.gate.stored import behaviour, versions
    from app.store import Scope

    known = versions(source)
    if not profile and len(known) == 1:
        (profile,) = known
    found = known.get(profile)
    if not profile or found is None or (version and version not in found):
        raise _nothing(known, profile, version, "nothing was frozen")
    if found and not version:
        raise Failure(
            f"no version of {plain(profile)} is named\n\n"
            f"hint: --version with one of {_listed(found)}",
            USAGE,
        )
    report = source.report(Scope(profile=profile))
    seen = behaviour(source, report, profile, version or None)
    paper = next((part.paper for part in report.profiles if part.profile == profile), None)
    try:
        frozen = freeze(profile, version or None, seen, required_from, paper)
    except ValidationError as e:  # whatever a sender calls itself, or of very many endpoints
        first, of = e.errors(include_url=False)[0], plain(f"{profile} {version}".rstrip())
        at = str(first["loc"][0])
        hint = _FEWER if at == "endpoints" else "--profile and --version name another"
        raise Failure(
            f"{of} is too much for a contract: {at}: {first['msg']}\n\nhint: {hint}"
        ) from None
    return frozen, head(frozen, seen, report, required_from)


def _nothing(known: dict[str, list[str]], profile: str, version: str, so: str) -> Failure:
    from app.escape import plain

    if not known:
        hint = "`telemock captures list` lists captures; --server or TELEMOCK_DATA name another app"
        return Failure(f"no capture of a profile's host is stored, so {so}\n\nhint: {hint}")
    if profile not in known:
        named = f"of {plain(profile)!r} " if profile else ""
        said = "no profile is named" if not profile else f"no capture {named}is stored"
        return Failure(f"{said}, so {so}\n\nhint: --profile with one of {_listed([*known])}")
    if version and version not in known[profile]:
        versions = _listed(known[profile]) or "none: leave --version out"
        return Failure(
            f"no version {plain(version)!r} of {plain(profile)} was seen, so {so}\n\n"
            f"hint: versions that were seen: {versions}"
        )
    hint = "a longer time; `telemock captures list --profile` lists what there is"
    of = plain(f"{profile} {version}".rstrip())
    return Failure(f"no capture of {of} is of that time, so {so}\n\nhint: {hint}")


def _listed(names: list[str]) -> str:
    """The last ones, as the newest versions stand there."""
    from app.escape import plain

    return ", ".join(plain(name, 60) for name in names[-_NAMED:])
