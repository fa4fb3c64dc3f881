"""What images say of themselves, in Artifact Registry or any OCI registry."""
