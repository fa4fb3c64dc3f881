"""The drift gate's rooms; ``shared.utils.deployment_checker`` is the door to them."""
