"""``deployment-drift remind``: what services lack now, in the moment that a commit or a merge may take."""
