"""What Cloud Run serves, through Google's own clients."""
