"""What the command line asks: a running app's API, or the store on disk (`source`)."""
