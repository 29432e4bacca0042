"""Floor 6: every verb as an async generator of events over a Platform."""
