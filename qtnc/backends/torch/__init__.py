"""Torch out: a standalone, readable, trainable module with its weights beside it."""
