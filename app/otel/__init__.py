"""Every process's own metrics, spans and log lines: for the app, the injector and the sidecar.

`metrics` holds the instruments behind `/metrics`, `lines` the form of log lines. `settings` checks
the OTEL_* variables; `ids` and `sampling` decide on a trace. `export` sends over OTLP: only if
asked to, it loads OpenTelemetry's SDK, which `sdk`, `points`, `session` and `pipeline` import. The
sidecar imports nothing of the app but this and `app.contract`.
"""
