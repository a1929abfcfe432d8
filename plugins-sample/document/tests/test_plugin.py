"""Runs the plugin the way a batch does. Start it with `mixpeek plugin test`, or with pytest where `engine` is found."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ..manifest import example_input, features
from ..pipeline import build_steps
from ..realtime import RealtimeHandler

EMBEDDING = features[0]["feature_name"]


def run(values, mime_type="application/pdf", **parameters):
    request = SimpleNamespace(extractor_config=SimpleNamespace(parameters=parameters))
    batch = pd.DataFrame({"document": pd.Series(values, dtype=object), "mime_type": mime_type})
    for step in build_steps(request)["steps"]:
        batch = step(batch)
    return batch


def test_the_example_gets_an_embedding_of_the_size_in_the_manifest():
    vector = run([example_input["document"]])[EMBEDDING][0]
    assert len(vector) == features[0]["embedding_dim"]
    assert np.isclose(np.linalg.norm(vector), 1)


def test_realtime_answers_what_a_batch_stores():
    stored = run([example_input["document"]]).iloc[0]
    answer = RealtimeHandler().predict(example_input)
    assert np.allclose(answer.pop("embedding"), stored[EMBEDDING])
    assert answer == {name: stored[name] for name in answer}


def test_the_text_of_the_example_is_found():
    example = run([example_input["document"]]).iloc[0]
    assert (example["format"], example["page_count"], example["excerpt"]) == ("pdf", 1, "A page of text.")


def test_a_plain_text_has_the_embedding_of_a_pdf_with_the_same_words():
    pdf = run([example_input["document"]]).iloc[0]
    text = run(["A page of text"], mime_type="text/plain").iloc[0]
    assert text["format"] == "text"
    assert np.allclose(text[EMBEDDING], pdf[EMBEDDING])


def test_a_row_without_a_document_has_none_in_every_column():
    assert run([None]).drop(columns=["document", "mime_type"]).isna().all(axis=None)


def test_what_is_neither_pdf_nor_text_is_an_error():
    with pytest.raises(ValueError, match="neither a PDF file nor text"):
        run([bytes(range(128, 160))])
