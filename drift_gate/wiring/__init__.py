"""Settings into a gate; the only room that names concrete sources."""
