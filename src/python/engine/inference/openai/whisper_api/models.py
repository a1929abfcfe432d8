"""Config of the transcription step."""

from dataclasses import dataclass


@dataclass
class WhisperConfig:
    """`output_column` is the same setting under the name other examples use; it wins when both are given."""

    output_column_name: str = "transcription"
    output_column: str | None = None
    model: str = "openai/whisper-large-v3-turbo"
    language: str | None = None

    def __post_init__(self) -> None:
        if self.output_column is not None:
            self.output_column_name = self.output_column
        self.output_column = self.output_column_name
