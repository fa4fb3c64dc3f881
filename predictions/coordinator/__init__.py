"""Starts the day's batch of predictions; the drift gate stands before its first step."""
