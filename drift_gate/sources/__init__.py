"""One file per outside system that the gate learns facts from."""
