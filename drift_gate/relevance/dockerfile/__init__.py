"""What a Dockerfile copies into an image, as builders do it."""
