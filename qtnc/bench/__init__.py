"""End-to-end time of what was compiled, beside the original."""
