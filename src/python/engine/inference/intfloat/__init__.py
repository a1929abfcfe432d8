"""Built-in services by vendor."""
