"""Everything that is asked over HTTP: one deadline, bounded, no secret to a stranger."""
