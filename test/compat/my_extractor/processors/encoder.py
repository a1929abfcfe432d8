"""Stands in for the model that the documentation's page downloads: the same calls, and values a test can foretell."""

import numpy as np


class SentenceTransformer:
    def __init__(self, name):
        self.name = name

    def encode(self, texts):
        vectors = np.zeros((len(texts), 384))
        vectors[:, 0] = [len(text) / 10 for text in texts]
        return vectors
