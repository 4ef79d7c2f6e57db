"""Reads and writes YAML as Kubernetes' own programs read it, for `manifest` and `snippet`.

PyYAML reads 12:30 as a number of seconds and 2026-01-31 as a date; Kubernetes reads both as text.
It writes 1e3 and y without quotes; Kubernetes reads them as a number and true.
"""

import re
from typing import Any

import yaml

# Text that some YAML reader would take for another type if it had no quotes.
_AMBIGUOUS = re.compile(
    r"[-+.]?[0-9][0-9a-fox_.:+-]*([t ][0-9:.]+ ?(z|[-+][0-9:]+)?)?"
    r"|[-+]?\.(inf|nan)|y|n|yes|no|on|off|true|false|null|~|=|<<|",
    re.I,
)
_OCTAL = re.compile(r"[-+]?0o[0-7_]+")


class _KubeLoader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_NOT_OURS = tuple(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float"))
_KubeLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_OURS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_KubeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_KubeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|nan)$", re.I),
    list("-+.0123456789"),
)


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return (
        int(text.replace("_", ""), 8) if _OCTAL.fullmatch(text) else loader.construct_yaml_int(node)
    )


def _str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if not text.replace("\n", "").isprintable() or _AMBIGUOUS.fullmatch(text):
        style = '"'
    elif "\n" in text.strip():
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_KubeLoader.add_constructor("tag:yaml.org,2002:int", _int)
_Dumper.add_representer(str, _str)


def read(text: str) -> Any:
    """Parses one document. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_KubeLoader)  # noqa: S506 - a SafeLoader


def write(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 16)
