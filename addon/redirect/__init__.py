"""Makes the redirect, as a program of its own: the kernel's rules (`ruleset`), routes to the dummy
addresses (`routes`), a check that their ranges are free (`ranges`, `used`), by nft and ip (`tool`).
"""
