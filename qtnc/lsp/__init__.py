"""The language server: a spec as it is typed, and the model that it is about."""
