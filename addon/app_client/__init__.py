"""Talks to the app: its API (`client`), and the profiles in use (`profiles`)."""
