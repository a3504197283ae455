"""What will be done to each layer, and why, before any work is kept."""
