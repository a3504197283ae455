"""A model and a spec with which a command fails, made small while it fails in the same way."""
