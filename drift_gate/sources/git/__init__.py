"""Repositories: the one place that starts git."""
