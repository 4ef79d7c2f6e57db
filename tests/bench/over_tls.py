"""The app as a cluster's sidecars meet it, without a cluster: its API over TLS, connections kept.

`python -m tests.bench.over_tls`, with the environment of `telemock serve`. `tests.bench.simulate`
runs it.
"""

import os

from app.cli.serve import _IDLE_S, _bound, _LocalServer, _url
from app.cli.server import config
from app.cluster import pki
from app.cluster.certificates import LEAF_APP, Material, ServerCertificate
from app.contract.cores import allow_files
from app.main import create_app
from app.settings import load


def main() -> None:
    settings = load(os.environ)
    authority = pki.make_authority()
    certificate = ServerCertificate(LEAF_APP)
    leaf = pki.make_leaf(authority, ["localhost"])
    certificate.use(Material(authority.certificate, {LEAF_APP: leaf}))
    allow_files()
    listener = _bound(settings.host, settings.port, "PORT")
    app = create_app(settings)
    served = config(
        app,
        ssl_context_factory=lambda *_: certificate.context,
        timeout_keep_alive=_IDLE_S,
    )
    url = _url(settings.host, listener.getsockname()[1])
    _LocalServer(served, url, app.state.runtime, settings.data).run(sockets=[listener])


if __name__ == "__main__":
    main()
