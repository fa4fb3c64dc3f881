"""What differs between a live commit and the target: a report, and no judgement of it. Pure."""
