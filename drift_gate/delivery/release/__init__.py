"""Who changes what a workload runs: one file per platform."""
