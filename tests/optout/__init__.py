"""Real products whose switches are tried: what is run (table), and the runs (measure)."""
