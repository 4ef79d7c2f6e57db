"""Attacks on the sidecar, each bounded in count and time and to loopback."""
