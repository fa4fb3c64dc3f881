"""What a batch is, from its order to its results: states, the verdict that it starts on, its end."""
