"""The version of this telemock, for health, OpenAPI and the command line."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("telemock")
except PackageNotFoundError:  # a source tree that was never installed
    VERSION = "0+unknown"
