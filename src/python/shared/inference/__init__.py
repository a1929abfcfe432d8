"""Built-in inference services by id."""
