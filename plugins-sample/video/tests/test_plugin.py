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
    batch = pd.DataFrame({"video": pd.Series(values, dtype=object), "mime_type": "video/x-msvideo"})
    for step in build_steps(request)["steps"]:
        batch = step(batch)
    return batch


def test_the_example_gets_an_embedding_of_the_size_in_the_manifest():
    vector = run([example_input["video"]])[EMBEDDING][0]
    assert len(vector) == features[0]["embedding_dim"]
    assert np.isclose(np.linalg.norm(vector), 1)


def test_realtime_answers_what_a_batch_stores():
    stored = run([example_input["video"]]).iloc[0]
    answer = RealtimeHandler().predict(example_input)
    assert np.allclose(answer.pop("embedding"), stored[EMBEDDING])
    assert answer == {name: stored[name] for name in answer}


def test_the_container_of_the_example_is_read():
    example = run([example_input["video"]]).iloc[0]
    assert (example["container"], example["duration_seconds"], example["width"]) == ("avi", 1.0, 4)


def test_a_row_without_a_video_has_none_and_no_tracks():
    empty = run([None]).iloc[0]
    assert empty[EMBEDDING] is None and empty["container"] is None and empty["tracks"] == []


def test_frames_are_read_where_pyav_is_installed():
    example = run([example_input["video"]]).iloc[0]
    if example["decoded"]:
        assert (example["frames_sampled"], example["scene_changes"]) == (2, [0.5])
    else:
        assert example["frames_sampled"] is None


def test_an_empty_file_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        run([b""])
