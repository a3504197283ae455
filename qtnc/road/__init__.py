"""Which passes a model goes through, said in one place and changed by name."""
