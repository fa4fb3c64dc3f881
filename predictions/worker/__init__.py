"""A small reference worker, so that the whole loop, gate to predictions, runs on one machine."""
