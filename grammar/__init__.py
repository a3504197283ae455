"""What may be said: the grammars of the spec language and of the IR's text form, as data."""
