"""``prediction-coordinator``: one module for each command; ``main`` collects them."""
