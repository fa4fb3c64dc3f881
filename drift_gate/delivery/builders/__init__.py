"""Who makes the image of a commit: one file per builder."""
