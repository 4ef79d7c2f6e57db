"""What the log files say, for folders that were copied away from the store."""
