"""`telemock rehearse`: what the command does when its vendor's endpoint fails. Called by the CLI.

`faults` lists what can fail, `draft` writes the profile that fails so, `stage` fails connections,
`rounds` runs the command once for each, `judge` compares a run with the one without a fault, `pods`
does so for pods of a cluster, `show` prints it.
"""
