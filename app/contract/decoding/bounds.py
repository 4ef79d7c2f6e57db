"""The bounds of decoding: what lies beyond is not read, and whoever reads says so."""

MOST = 65_536  # parts of one carrier
DEPTH = 64  # levels within one carrier
