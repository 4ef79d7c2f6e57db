"""TLS towards the clients of telemetry hosts (`connection`), and the authority that signs for them
(`ca`), within its name constraints (`constraints`), and is added to applications' own lists
(`append`).
"""
