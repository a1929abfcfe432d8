"""Text embedding, 1024 dimensions."""
