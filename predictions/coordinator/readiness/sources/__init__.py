"""Where metrics come from: one file per outside system."""
