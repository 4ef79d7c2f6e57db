"""What the sidecar tells about itself: health, metrics and spans."""
