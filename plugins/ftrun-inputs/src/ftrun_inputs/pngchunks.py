"""The chunks of a PNG file that its pixels depend on."""

import struct
from zlib import crc32

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"tRNS", b"eXIf")  # transparency, and which way up it is
_XMP = b"XML:com.adobe.xmp\0\0"  # not compressed


def pixels_alone(content: bytes) -> bytes:
    """Return a PNG file without colour profiles, texts, animation and whatever else is beside its pixels.

    Raises ValueError where it is no PNG file.
    """
    if not content.startswith(_SIGNATURE):
        raise ValueError("is no PNG file")
    kept, at = [_SIGNATURE], len(_SIGNATURE)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunk = content[at : at + 12 + length]
        if _is_kept(chunk[4:8], chunk[8:-4], chunk[-4:]):
            kept.append(chunk)
        at += len(chunk)
    return b"".join(kept)


def _is_kept(kind: bytes, data: bytes, checksum: bytes) -> bool:
    if kind[:1].isupper():  # critical, in the format's terms: damage there is damage to the pixels
        return True
    known = kind in _KEPT or (kind == b"iTXt" and data.startswith(_XMP))
    return known and checksum == struct.pack(">I", crc32(kind + data))
