"""Looks for known values in what is sent, however they are written: who somebody is, as a digest.

`spec` says which values, `literals` how text writes them, `digests` what is derived of them;
`views` undoes encodings, `matcher` looks into one value, and `search` into a record, before it is
masked. Nothing of it runs where no values are set.
"""
