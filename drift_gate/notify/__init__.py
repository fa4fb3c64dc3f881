"""The channels that people are told on, one file each, and how a message gets to them once."""
