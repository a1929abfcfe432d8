"""Built-in inference services as steps of a pipeline."""
