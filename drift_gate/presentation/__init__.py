"""Verdicts as people and programs read them: table, JSON, Markdown, the message of a refusal. Pure."""
