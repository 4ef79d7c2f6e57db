"""The leak oracle: requests in every spelling through every entrance of a real sidecar, in front
of a vendor that keeps every byte. `corpus` and `further` are the table, `made_up` goes beyond it,
`entrances` are the clients, `vendor` is the host."""
