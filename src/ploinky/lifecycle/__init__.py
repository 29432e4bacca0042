"""Floor 4: from a manifest to a running agent: plan, twelve steps, probes, waves, reconciliation."""
