"""What every process tells of itself, made once for the app, the injector and the sidecar.

`metrics` holds the instruments behind `/metrics`; `settings` reads the OTEL_* variables, `ids` and
`sampling` decide on a trace, and `export` takes what leaves over OTLP: `otlp` and `points` encode
it, `sender` sends it from threads. Of the app this and `app.contract` are all that the sidecar
imports.
"""
