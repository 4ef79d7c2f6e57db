"""Analyses log files, also in folders that were copied away from the store."""
