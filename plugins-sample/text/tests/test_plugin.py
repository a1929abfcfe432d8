"""Runs the plugin the way a batch does. Start it with `mixpeek plugin test`, or with pytest where `engine` is found."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from ..manifest import features, metadata
from ..pipeline import build_steps
from ..realtime import RealtimeHandler

EMBEDDING = features[0]["feature_name"]


def run(texts, **parameters):
    request = SimpleNamespace(extractor_config=SimpleNamespace(parameters=parameters))
    batch = pd.DataFrame({"text": texts, "mime_type": "text/plain"})
    for step in build_steps(request)["steps"]:
        batch = step(batch)
    return batch


def test_every_text_gets_an_embedding_of_the_size_in_the_manifest():
    result = run(["Opens a file for reading.", "東京の天気", "🙂"])
    assert [len(vector) for vector in result[EMBEDDING]] == [features[0]["embedding_dim"]] * 3
    assert np.allclose([np.linalg.norm(vector) for vector in result[EMBEDDING]], 1)


def test_similar_texts_are_closer_than_unrelated_ones():
    reading, read, weather = run(
        ["Read a line from the file.", "Reads all lines from a file.", "Tomorrow it will rain in the mountains."]
    )[EMBEDDING]
    assert reading @ read > reading @ weather + 0.2


def test_an_empty_text_has_no_embedding_but_statistics():
    result = run(["", None])
    assert result[EMBEDDING].isna().all()
    assert result["word_count"].tolist() == [0, 0]


def test_top_k_limits_the_keywords():
    assert [len(words) for words in run(["one decoder reads several json documents"], top_k=2)["keywords"]] == [2]


def test_realtime_answers_what_a_batch_stores():
    text = "Encode a Python object as JSON."
    answer = RealtimeHandler().predict({"text": text})
    stored = run([text]).iloc[0]
    assert np.allclose(answer["embedding"], stored[EMBEDDING])
    assert answer["keywords"] == stored["keywords"]
    assert metadata["feature_extractor_name"] + "_embedding" == EMBEDDING
