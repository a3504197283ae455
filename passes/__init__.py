"""The standard library of rewrites: one pass a file, named alike in text, file and class."""
