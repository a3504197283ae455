"""Numerics of circuits on arrays: gates, layouts, their action on registers, and the search for good angles."""
