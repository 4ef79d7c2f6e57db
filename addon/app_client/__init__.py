"""What the sidecar asks the app for: its API (`client`), and the profiles in use (`profiles`)."""
