"""The ways to the workers, one file each."""
