"""The version of this telemock; pyproject.toml takes it from here.

Not read from the installed package: that look-up costs each command 16 ms.
"""

VERSION = "0.1.0"
