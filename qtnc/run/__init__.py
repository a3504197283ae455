"""Circuit layers run by sampling: what measuring does to them, measured beside predicted."""
