"""``deployment-drift bypass``: prints the lines that set and remove a bypass on a coordinator."""
