"""Code that others wrote: passes and structures of Python files that a spec uses, and passes of other packages."""
