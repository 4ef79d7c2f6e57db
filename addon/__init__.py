"""The sidecar: mitmproxy as a library, with our addon. Of `app` it imports only `app.contract`."""
