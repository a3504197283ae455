"""Rules: what they look for, what they compute, and how a graph is rewritten by them."""
