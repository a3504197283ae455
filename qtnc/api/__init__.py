"""The Python API: what the command line does, with results as objects and errors as exceptions."""
