"""What whoever runs the service sees of its requests: logs, metrics, traces."""
