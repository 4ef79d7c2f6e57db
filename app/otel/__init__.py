"""What every process tells of itself, made once for the app, the injector and the sidecar.

`metrics` holds the instruments behind `/metrics`; `settings` reads the OTEL_* variables, `ids` and
`sampling` decide on a trace, and `export` takes what leaves over OTLP, which `sender` sends from
threads. The OpenTelemetry SDK is imported only where those variables ask for it. Of the app this
and `app.contract` are all that the sidecar imports.
"""
