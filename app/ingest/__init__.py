"""Takes records into the store: admits bodies (`admission`), reads them (`reading`, `batch`),
digests records (`digest`, `foreign`), and writes them on one thread (`writer`), which counts them
(`counters`) and exports them (`otlp_logs`). `sidecars` tracks the senders.
"""
