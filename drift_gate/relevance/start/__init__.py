"""Where a workload starts: commands, scripts and the programs that they run."""
