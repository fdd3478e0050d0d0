"""Shards of small images, written without anything but Python."""

import io
import os
import struct
import tarfile
import zlib


def png(width, height, seed):
    """Noise of a seed."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    state, rows = seed * 2654435761 % 2**32 or 1, bytearray()
    for _ in range(height):
        rows.append(0)
        for _ in range(width * 3):
            state = (state * 1664525 + 1013904223) % 2**32
            rows.append(state >> 24)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")


def caption(number):
    return f"thing number {number}"


def write(folder, shards, pairs, broken=()):
    """Shards of `pairs` pairs each; the images of the numbers in `broken` are none."""
    os.makedirs(folder, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(os.path.join(folder, f"{shard:05}.tar"), "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(shard * pairs, (shard + 1) * pairs):
                image = b"no image" if number in broken else png(12, 9, number)
                for field, data in (("png", image), ("txt", caption(number).encode()), ("json", b'{"n": %d}' % number)):
                    entry = tarfile.TarInfo(f"{number:06}.{field}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
    return folder
