"""Access to a Kubernetes cluster: its API (`kube`), reviews of our API's callers (`token_review`),
our serving certificates (`certificates`, `pki`), the release we belong to (`release`), access to
the app from outside (`remote`, `tunnel`), and the chart's own test (`helm_test`).
"""
