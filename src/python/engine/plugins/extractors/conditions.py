"""Which rows a step handles, decided by the row's MIME type."""

from enum import Enum

_PREFIXES = {"is_text": "text/", "is_image": "image/", "is_video": "video/", "is_audio": "audio/"}


class RowCondition(str, Enum):
    """Rows that do not match pass the step unchanged and keep their place."""

    IS_TEXT = "is_text"
    IS_IMAGE = "is_image"
    IS_VIDEO = "is_video"
    IS_AUDIO = "is_audio"
    IS_PDF = "is_pdf"
    ALWAYS = "always"

    def matches(self, mime_type: object) -> bool:
        """`mime_type` as the row carries it; a row without one matches only ALWAYS."""
        if self is RowCondition.ALWAYS:
            return True
        if not isinstance(mime_type, str):
            return False
        essence = mime_type.split(";", 1)[0].strip().lower()
        if self is RowCondition.IS_PDF:
            return essence == "application/pdf"
        return essence.startswith(_PREFIXES[self.value])
