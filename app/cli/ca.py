"""`telemock ca`: the certificate of this machine's sidecar, and how each runtime takes it."""

import typer


def ca() -> None:
    """Print the certificate of TELEMOCK_DATA, and how each runtime takes it.

    The output is a PEM file: what stands before the certificate is a comment there.

    Example: telemock ca > telemock.pem
    """
    from app import trust
    from app.contract import names
    from app.report.tables import text_table
    from app.run.processes import LocalError
    from app.settings import load

    directory = (load().data / names.DIR_CA).absolute()
    try:
        pem = (directory / names.FILE_CA_CERT).read_text()
    except FileNotFoundError:
        raise LocalError(
            f"there is no certificate in {directory} yet\n\n"
            "hint: telemock run makes it, and so does telemock proxy"
        ) from None
    typer.echo(f"Files in {directory}; telemock run sets all of it for its command.\n")
    typer.echo(text_table(("variable", "file", "read by"), trust.table()))
    typer.echo(pem, nl=False)
