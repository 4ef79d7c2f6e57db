"""What every process tells of itself, made once for the app, the injector and the sidecar.

`metrics` holds the instruments behind `/metrics`, `lines` the form of log lines. `settings` checks
the OTEL_* variables; `ids` and `sampling` decide on a trace. `export` takes what leaves over OTLP:
where something is asked for it loads OpenTelemetry's SDK, which `sdk`, `points`, `session` and
`pipeline` import. Of the app this and `app.contract` are all that the sidecar imports.
"""
