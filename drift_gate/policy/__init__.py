"""What is tolerated, and the verdict: reason codes, acknowledgements, break-glass. Pure."""
