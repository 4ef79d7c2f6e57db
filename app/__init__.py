"""The telemock deployment: mock, ingest, store, report, API, CLI. The sidecar is `addon`."""
