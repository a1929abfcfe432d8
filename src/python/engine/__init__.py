"""What plugin code imports: pipelines, models, built-in services. Knows nothing of the worker that runs it."""
