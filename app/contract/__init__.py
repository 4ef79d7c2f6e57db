"""The types and functions that app and sidecar share, so that both read rules and records alike.

Imported by `app` and by `addon`; imports only the standard library, msgspec, google-re2,
cryptography and the decompressors for captured bodies. Only `files`, `cores` and `signing` do I/O.
"""
