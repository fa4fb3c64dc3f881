"""``deployment-drift selftest``: proves that this gate, with this policy, allows, warns and denies."""
