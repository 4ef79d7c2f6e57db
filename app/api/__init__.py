"""The app's HTTP API: `routes`, what is asked without a token (`health`), and how it is described
(`openapi`).
"""
