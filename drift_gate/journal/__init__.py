"""One file per place that a verdict is written to."""
