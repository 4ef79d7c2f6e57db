"""The sidecar's own health, metrics and spans."""
