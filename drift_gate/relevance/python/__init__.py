"""What Python code imports, as far as its text tells."""
