"""The contract of a product's version: written of captures (freeze), kept in a file that people
review (contract_file), compared (diff), and checked against what is sent (check), with output for
CI"""
