"""Models uploaded to the namespace."""
