"""Bases of inference services."""
