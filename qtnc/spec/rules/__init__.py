"""``rule`` of the language: from its text to the patterns and terms of :mod:`qtnc.rules`, or to all that is wrong."""
