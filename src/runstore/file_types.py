"""Files that are kept as they are, by the extension of the name: text, or bytes of all kinds.

``docs/format.md`` has the list, which is fixed: what comes back must not change.
"""

__all__ = ["ARROW_MAGIC", "BYTES_FILES", "TEXT_FILES", "raw_type"]

ARROW_MAGIC = b"ARROW1\0\0"
"""The first bytes of an Arrow file; the first six are its last, too."""

_TEXT = """
    cfg conf css dot htm html ini ipynb jinja js jsonl log markdown md mmd ndjson properties py r
    rst sh sql tex text toml tsv txt xml yaml yml
"""
TEXT_FILES = frozenset(_TEXT.split())
"""Extensions of files that are text in UTF-8: `get` returns ``str``."""

_BYTES = """
    7z avi avro bin bmp bz2 cbm ckpt dat db doc docx duckdb eps flac gguf gif gz h5 hdf5 ico jar
    jpeg jpg keras mat model mov mp3 mp4 nc npz odp ods odt ogg onnx orc pb pdf png ppt pptx ps pt
    pth rds so sqlite svg tar tflite tgz tif tiff ttf ubj wasm wav webm webp whl woff2 xls xlsx xz
    zip zst
"""
BYTES_FILES = frozenset(_BYTES.split())
"""Extensions of files that are bytes: `get` returns ``bytes``."""


def raw_type(extension: str) -> str | None:
    """Return the type of what a file comes back as; None if the extension is not in the list."""
    if extension in TEXT_FILES:
        return "builtins.str"
    return "builtins.bytes" if extension in BYTES_FILES else None
