"""Imports packages that only an extra installs: for formats that few people need."""

from importlib import import_module
from typing import Any


class MissingPackageError(Exception):
    """The package that writes a format is not installed. The text is meant for people, whole."""


def extra(format: str, package: str, module: str) -> Any:
    """Imports `module` for the format, which is also the extra's name. Raises
    MissingPackageError."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"--format {format} needs the package {package}\n\n"
            f"hint: pip install 'telemock[{format}]'"
        ) from None
