"""What the gate costs, as ratios to what a user would do otherwise; never a timed test."""
