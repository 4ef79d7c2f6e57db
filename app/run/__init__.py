"""`telemock run`: runs a command beside an app and a sidecar of its own (`command`, `processes`),
with an /etc/hosts of its own (`transparent`), and lists what it sent home (`summary`).
"""
