"""Helpers for plugin code: assets, concurrency, models. Knows nothing of the worker that runs it."""
