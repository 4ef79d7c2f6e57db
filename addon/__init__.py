"""The sidecar: mitmproxy as a library, with telemock's addon. Imports `app.contract` and no more of `app`."""
