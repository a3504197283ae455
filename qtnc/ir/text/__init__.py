"""The text form of the IR: printed for people and tests, parsed back with the weights from beside it."""
