"""Pipelines of feature extractors."""
