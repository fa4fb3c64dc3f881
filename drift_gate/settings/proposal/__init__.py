"""From what a repository and Cloud Run hold to a first ``drift.toml``, and what is left to do. Pure."""
