from hypothesis import settings

# The machine that runs the tests is shared: a slow example says nothing.
settings.register_profile("contract", deadline=None, max_examples=60)
settings.load_profile("contract")
