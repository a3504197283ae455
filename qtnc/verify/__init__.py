"""Whether the compiled model still says what the original says."""
