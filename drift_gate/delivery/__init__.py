"""Deploys of what production lacks, one file per step; ``contracts.py`` says with whose help."""
