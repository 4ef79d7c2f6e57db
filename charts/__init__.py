"""What is written from the chart, and what holds it against Kubernetes. Run by `make`."""
