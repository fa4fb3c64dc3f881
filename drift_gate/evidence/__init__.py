"""Which commit a live revision runs: its marks, its image, its files, and what a service requires of it."""
