"""Text to typed spec: syntax, tree, checks, selection."""
