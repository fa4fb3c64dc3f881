"""``deployment-drift hooks``: the reminder in a repository's hooks, and out of them."""
