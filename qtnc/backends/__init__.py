"""The IR out: one folder or file a target."""
