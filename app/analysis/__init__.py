"""Writes the final report: of the store, or of log files that were copied away from it."""
