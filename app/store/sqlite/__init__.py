"""The embedded store: one SQLite file. See `app.store` for its promises.

`store` is the entrance; `writer` stores a batch in one transaction (`dedup`, `ids`, `rollup`,
`accounts`), `reader` queries (`search`, `kept_lines`), `schema` opens the file (`migrations`).
`repeated_lines` is a compression that only this store knows: lines that differ only in numbers are
read without decoding, and stored as these numbers.
"""
