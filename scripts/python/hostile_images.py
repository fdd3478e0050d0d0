"""Images that are made to hurt a decoder: bombs, thin ones, lies in headers. Standard library only."""

import random
import struct
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count):
    """A zlib stream of that many zero bytes, without making them all."""
    block = 1 << 20
    deflate = lambda data, end: (lambda c: c.compress(data) + c.flush(end))(zlib.compressobj(9, zlib.DEFLATED, -15))
    stream = deflate(bytes(block), zlib.Z_FULL_FLUSH) * (count // block)
    stream += deflate(bytes(count % block), zlib.Z_FINISH)
    # Adler-32 of zero bytes: the first sum stays 1, the second counts.
    return b"\x78\xda" + stream + struct.pack(">I", (count % 65521) << 16 | 1)


def png(width, height, pixels, extra=b"", depth=8, colour=2):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def noise(side=64, seed=1, extra=b""):
    """A good image, small."""
    draw = random.Random(seed)
    rows = b"".join(b"\0" + draw.randbytes(side * 3) for _ in range(side))
    return png(side, side, zlib.compress(rows), extra)


def exif(entries, span):
    """A TIFF directory whose entries all claim the same long stretch of it."""
    entry = lambda n: struct.pack("<HHII", 0x8000 + n % 0x7fff, 3, (span - 8) // 2, 8)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", entries)
    directory = head + b"".join(map(entry, range(entries))) + bytes(4)
    return directory + b"\1" * (span - len(directory))


def progressive(scans, side=8000):
    """A grey progressive JPEG whose every scan passes over all blocks of `side` x `side` pixels and changes none."""
    blocks = (side // 8) ** 2
    segment = lambda marker, data: struct.pack(">BBH", 0xff, marker, len(data) + 2) + data
    # One code of length 1 in each table: no difference for DC, a run of 2^14 and more blocks without AC for AC.
    table = lambda kind, symbol: segment(0xc4, bytes([kind, 1] + [0] * 15 + [symbol]))
    start = b"\xff\xd8" + segment(0xdb, b"\0" + b"\1" * 64)
    start += segment(0xc2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    start += table(0, 0) + table(0x10, 0xe0)
    scan = lambda first, last: segment(0xda, bytes([1, 1, 0, first, last, 0]))
    run, bits = 32767, ""
    for _ in range(-(-blocks // run)):
        bits += "0" + format(run - 16384, "014b")
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return start + scan(0, 0) + bytes(blocks // 8 + 1) + (scan(1, 63) + data) * scans + b"\xff\xd9"


def bmp(width, height):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + info + bytes(100)


def gif(width, height):
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x01\x44\0;"


def all_images():
    """File name to content; the first is a good one."""
    grey = lambda width, height: png(width, height, zeros(height * (width + 1)), colour=0)
    profile = chunk(b"iCCP", b"x\0\0" + zeros(4 << 30))
    return {
        "good.png": noise(),
        "thin_1x300000.png": grey(1, 300_000),
        "thin_1x63999999.png": grey(1, 63_999_999),
        "wide_60000x2.png": grey(60_000, 2),
        "iccp_4g.png": noise(extra=profile),
        "exif_60000.png": noise(extra=chunk(b"eXIf", exif(60_000, 1 << 20))),
        "rgba16_8000.png": png(8000, 8000, zeros(8000 * 64_001), depth=16, colour=6),
        "claims_2g.png": png(2**31 - 1, 2**31 - 1, zeros(1000)),
        "scans_5000.jpg": progressive(5000),
        "claims.bmp": bmp(2**31 - 1, -(2**31)),
        "cut.bmp": bmp(8000, 8000),
        "claims.gif": gif(65_535, 65_535),
        "cut.ppm": b"P6\n8000 8000\n65535\n" + bytes(100),
        "claims.ppm": b"P6\n" + b"9" * 400 + b" 1\n255\n",
        "empty.png": b"",
    }
