"""What every process tells of itself, made once for the app, the injector and the sidecar.

`metrics` holds the instruments behind `/metrics`. It imports prometheus_client; the OpenTelemetry
SDK only where the OTEL_* variables ask for it. Of the app this and `app.contract` are all that the
sidecar imports.
"""
