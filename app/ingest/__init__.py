"""Records on their way into the store: admitted (`admission`), read (`reading`, `batch`), made
small (`digest`, `foreign`), and written by the one thread of `writer`, which counts them
(`counters`) and passes them on (`otlp_logs`). `sidecars` knows who sends.
"""
