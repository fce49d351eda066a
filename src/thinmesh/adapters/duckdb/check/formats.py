"""What a file is that is named as a CSV and is none."""

from __future__ import annotations

from .scan import Unreadable

# First bytes; UTF-32's mark begins as UTF-16's does, and comes first.
_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_PACKED = ((b"\x1f\x8b", "gzip", ".csv.gz"), (b"\x28\xb5\x2f\xfd", "zstd", ".csv.zst"))
_OTHERS = (
    (b"PK\x03\x04", "is a ZIP archive or an Excel file; send the CSV itself"),
    (b"PAR1", "is a Parquet file; name it <table>.parquet"),
)
_LOOKED_AT = 200


def refuse_other_format(head: bytes, compression: str) -> None:
    """Raise Unreadable where the first bytes, unpacked where `compression` says so, are no UTF-8 text's."""
    encoding = next((word for mark, word in _ENCODINGS if head.startswith(mark)), None)
    if encoding or _is_wide(head[:_LOOKED_AT]):
        raise Unreadable("encoding", f"is {encoding or 'UTF-16'}; save it as UTF-8")
    for mark, word, ending in _PACKED:
        if head.startswith(mark):
            says = "is compressed twice; compress it once" if compression else f"is packed with {word}; name it <table>"
            raise Unreadable("file_format", says + ("" if compression else ending))
    for mark, says in _OTHERS:
        if head.startswith(mark):
            raise Unreadable("file_format", says)


def _is_wide(head: bytes) -> bool:
    """Tell whether every other byte is 0, as in UTF-16 without its mark."""
    one, other = head[0::2], head[1::2]
    return len(other) > 1 and any(a.count(0) > 0.8 * len(a) and 0 not in b for a, b in ((one, other), (other, one)))
