"""`telemock profiles …`: the profiles that come with telemock, and those of one's own."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.group import CommandGroup
from app.cli.options import AsJson
from app.escape import as_json as json_of
from app.escape import paragraphs, plain
from app.report.tables import text_table

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)

_Id = Annotated[str, typer.Argument(metavar="NAME", help="As `profiles list` has it.")]


@commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the products whose telemetry is known, with their hosts: built-in ones and added ones.

    Example: telemock profiles list
    """
    from app.profiles.added import added
    from app.profiles.compile import load
    from app.profiles.read import built_in
    from app.report.papers import papers_of
    from app.settings import load as load_settings

    own = added(load_settings().data)
    added_ids = [profile.id for profile in own.rules.profiles]
    ours = load([name for name in built_in() if name not in added_ids])
    papers = papers_of([*ours.written, *own.written])
    for problem in own.problems:
        typer.echo(paragraphs(str(problem)), err=True)
    if as_json:
        typer.echo(json_of(papers))
        return
    rows = [
        [p.profile, "added" if p.profile in added_ids else "built in", p.title, p.every or "-",
         ", ".join(p.hosts)]
        for p in papers
    ]  # fmt: skip
    sys.stdout.write(text_table(["PROFILE", "FROM", "PRODUCT", "EVERY", "HOSTS"], rows))


@commands.command()
def show(name: _Id) -> None:
    """Print a profile, to read it or to begin one of your own.

    Example: telemock profiles show grafana > grafana-of-ours.yaml
    """
    from app.profiles.added import added, answers_of, file_of
    from app.profiles.read import BUILT_IN, built_in
    from app.settings import load

    data = load().data
    own = [profile.id for profile in added(data).rules.profiles]
    if name not in (*own, *built_in()):
        known = ", ".join((*own, *built_in()))
        raise typer.BadParameter(f"{name!r} is no profile that is built in or added: {known}")
    file = file_of(data, name) if name in own else BUILT_IN / f"{name}.yaml"
    typer.echo(file.read_text(encoding="utf-8"), nl=False)
    for folder in answers_of(name, data) if name in own else ():
        typer.echo(plain(f"note: its answers' files are in {folder}", 2000), err=True)


@commands.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile, as YAML.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also in place of an added one of the same id.")
    ] = False,
) -> None:
    """Check a profile and put it where the next `telemock run` or `serve` reads it.

    It lies in TELEMOCK_DATA then, under its id and with the files that its answers name, and is one
    of `added` in TELEMOCK_PROFILES. An app that runs takes it within a second.

    Example: telemock profiles add my-profile.yaml
    """
    from app.profiles.added import add as add_profile
    from app.settings import ADDED, load

    settings = load()
    profile, place = add_profile(file, settings.data, settings.profiles, force=force)
    hosts = ", ".join(("." if h.suffix else "") + h.name for h in profile.hosts)
    count = len(profile.rules)
    rules = f"{count} rule{'s' if count > 1 else ''}"
    typer.echo(plain(f"{profile.id}: added as {place}: {rules} for {hosts}", 2000))
    if not {ADDED, profile.id} & {*settings.profiles_given}:
        said = ",".join(settings.profiles_given)
        typer.echo(
            plain(
                f"note: TELEMOCK_PROFILES is {said!r}, so it is not in use: add {ADDED} to it, or "
                f"name it in --profile {profile.id}",
                2000,
            )
        )


@commands.command()
def remove(name: _Id) -> None:
    """Remove a profile that was added.

    Example: telemock profiles remove acme
    """
    from app.profiles.added import remove as remove_profile
    from app.settings import load

    place = remove_profile(name, load().data)
    typer.echo(plain(f"{name}: removed, {place}", 2000))
