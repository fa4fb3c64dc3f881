"""``deployment-drift doctor``: looks at the real set-up step by step and says what to fix."""
