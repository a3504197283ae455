"""Tools for looking inside: what a compile did after every pass, how long it took, and what layers hold."""
