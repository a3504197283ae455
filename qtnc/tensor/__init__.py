"""Numerics on arrays: low rank, matrix product operators, contraction orders. Knows no IR."""
