"""The app's HTTP API: what sidecars send (`intake`) and fetch (`profiles`), what people read
(`read`), what is asked without a token (`health`), and how it is described (`openapi`).
"""
