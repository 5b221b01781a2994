"""Processes: one child, children that are kept alive, and the duties of PID 1. Nothing here knows what it runs."""
