"""Runs the plugin the way a batch does. Start it with `mixpeek plugin test`, or with pytest where `engine` is found."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ..manifest import example_input, features
from ..pipeline import build_steps
from ..realtime import RealtimeHandler

EMBEDDING = features[0]["feature_name"]


def run(values, **parameters):
    request = SimpleNamespace(extractor_config=SimpleNamespace(parameters=parameters))
    batch = pd.DataFrame({"image": pd.Series(values, dtype=object), "mime_type": "image/png"})
    for step in build_steps(request)["steps"]:
        batch = step(batch)
    return batch


def test_the_example_gets_an_embedding_of_the_size_in_the_manifest():
    vector = run([example_input["image"]])[EMBEDDING][0]
    assert len(vector) == features[0]["embedding_dim"]
    assert np.isclose(np.linalg.norm(vector), 1)


def test_realtime_answers_what_a_batch_stores():
    stored = run([example_input["image"]]).iloc[0]
    answer = RealtimeHandler().predict(example_input)
    assert np.allclose(answer.pop("embedding"), stored[EMBEDDING])
    assert answer == {name: stored[name] for name in answer}


def test_the_example_is_decoded():
    example = run([example_input["image"]]).iloc[0]
    assert (example["format"], example["width"], example["height"], example["decoded"]) == ("png", 2, 2, True)


def test_a_row_without_an_image_has_none_in_every_column():
    assert run([None]).drop(columns=["image", "mime_type"]).isna().all(axis=None)


def test_the_example_has_a_perceptual_hash_of_64_bits():
    assert len(bytes.fromhex(run([example_input["image"]])["perceptual_hash"][0])) == 8


def test_a_damaged_image_is_an_error():
    with pytest.raises(ValueError, match="damaged|no image that the plugin can read"):
        run([b"\x89PNG\r\n\x1a\n and nothing more"])


def test_an_empty_image_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        run([b""])
