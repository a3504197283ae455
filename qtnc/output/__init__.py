"""The output folder: written whole or not at all, described by a manifest."""
