"""What needs a Kubernetes cluster: its API (`kube`), who may use ours there (`token_review`), the
certificates we serve with (`certificates`, `pki`), the release we belong to (`release`), the way to
the app from outside (`remote`, `tunnel`), and the chart's own test (`helm_test`).
"""
