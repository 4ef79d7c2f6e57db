"""`telemock run`: the command beside an app and a sidecar of its own (`command`, `processes`), with
an /etc/hosts of its own (`transparent`), and what it sent home (`summary`).
"""
