"""Units of work: pure functions of what they hold, kept by content, run side by side."""
