"""Runs the plugin the way a batch does. Start it with `mixpeek plugin test`, or with pytest where `engine` is found."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from ..manifest import example_input, features
from ..pipeline import build_steps
from ..realtime import RealtimeHandler

EMBEDDING = features[0]["feature_name"]


def run(texts, images, **parameters):
    request = SimpleNamespace(extractor_config=SimpleNamespace(parameters=parameters))
    batch = pd.DataFrame({"text": pd.Series(texts, dtype=object), "image": pd.Series(images, dtype=object)})
    for step in build_steps(request)["steps"]:
        batch = step(batch)
    return batch


def test_the_example_gets_an_embedding_of_the_size_in_the_manifest():
    vector = run([example_input["text"]], [example_input["image"]])[EMBEDDING][0]
    assert len(vector) == features[0]["embedding_dim"]
    assert np.isclose(np.linalg.norm(vector), 1)


def test_realtime_answers_what_a_batch_stores():
    stored = run([example_input["text"]], [example_input["image"]]).iloc[0]
    answer = RealtimeHandler().predict(example_input)
    assert np.allclose(answer.pop("embedding"), stored[EMBEDDING])
    assert answer == {name: stored[name] for name in answer}


def test_text_and_image_each_make_rows_alike():
    both, text_only, image_only, other_text = run(
        [example_input["text"], example_input["text"], None, "Entirely different words here"],
        [example_input["image"], None, example_input["image"], None],
    )[EMBEDDING]
    assert both @ text_only > 0.6 and both @ image_only > 0.6
    assert text_only @ image_only == 0
    assert abs(both @ other_text) < 0.3


def test_the_weight_decides_between_text_and_image():
    texts, images = [example_input["text"]] * 2, [example_input["image"], None]
    with_image, without = run(texts, images, text_weight=1)[EMBEDDING]
    assert np.allclose(with_image, without)


def test_a_row_with_neither_has_no_embedding():
    empty = run([None], [None]).iloc[0]
    assert empty[EMBEDDING] is None and not empty["has_text"] and not empty["has_image"]
