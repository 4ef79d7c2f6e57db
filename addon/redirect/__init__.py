"""The redirect, as a program of its own: the kernel's rules (`ruleset`), routes to the dummy
addresses
(`routes`), which ranges are free for them (`ranges`, `used`), through nft and ip (`tool`).
"""
