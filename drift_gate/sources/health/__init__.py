"""What a running worker says of its files."""
