"""Structures a weight can take, one a file: its options, its fit, its counts, its network."""
