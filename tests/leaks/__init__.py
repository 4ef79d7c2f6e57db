"""The leak oracle: requests in every spelling through every entrance of a real sidecar, in front of
a vendor that keeps every byte. `corpus` is the table, `entrances` the clients, `vendor` the host."""
