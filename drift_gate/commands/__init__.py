"""``deployment-drift``: one module for each command; ``main`` collects them."""
