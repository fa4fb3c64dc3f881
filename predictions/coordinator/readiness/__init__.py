"""Whether the data are ready for a batch: declared checks, run before it and judged by their own history."""
