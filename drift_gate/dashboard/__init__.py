"""Pages out of the journal alone: what runs where, what waits, since when, and what was decided."""
