"""Config of the text embedding step."""

from dataclasses import dataclass

SERVICE_ID = "intfloat/multilingual-e5-large-instruct"


@dataclass
class E5Config:
    """Reads `text_column`, writes a list of 1024 floats per row to `output_column_name`."""

    text_column: str = "text"
    output_column_name: str = "embedding"


@dataclass
class InferenceConfigs(E5Config):
    """The same config under the name that `shared.inference` gives it."""
