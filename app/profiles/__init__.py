"""Profiles: people's description of a vendor's product, checked and compiled for both halves.

`schema` is the format, `read` and `compile` turn files into `app.contract.rules`, `watch` follows
their changes, `explain` says why a rule took a request or not. The `.yaml` files here are the
built-in profiles; the rest of the app imports from this module.
"""

from app.profiles.compile import load_profiles
from app.profiles.explain import Explanation, explain, seen_from_url
from app.profiles.problems import ProfileError, ProfileProblem
from app.profiles.watch import ProfileSet

__all__ = [
    "Explanation",
    "ProfileError",
    "ProfileProblem",
    "ProfileSet",
    "explain",
    "load_profiles",
    "seen_from_url",
]
