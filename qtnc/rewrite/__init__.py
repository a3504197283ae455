"""What passes share: weight products found in a graph, decisions about them, and why one was declined."""
