"""Deadlines and retries, processes that can be ended, and what one process remembers."""
