"""What the app and the sidecar share, so that both read a rule and a record the same way.

Imported by `app` and by `addon`; imports only the standard library, msgspec, google-re2 and the
decompressors that a captured body needs. Nothing here does I/O.
"""
