from hypothesis import settings

settings.register_profile("contract", settings.get_profile("shared"), max_examples=60)
settings.load_profile("contract")
