#!/usr/bin/env python3
# requires: pillow==13.0.0 numpy==2.3.5
"""Small images of every kind with the pixels that Pillow gives them, for clip-image's test of the same name.

Each is also decoded by the likeliest mistake, to show by how many levels that differs.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, __version__

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from pillow_rgb import pillow_rgb  # noqa: E402
from pixel_sections import write_sections  # noqa: E402

OUT = Path("crates/clip-image/tests/golden/oracle/images")
WIDTH, HEIGHT = 19, 13


def noise(channels, seed):
    """Blocks of colour under fine noise: edges and texture."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 256, (HEIGHT // 4 + 1, WIDTH // 4 + 1, channels))
    pixels = low.repeat(4, 0).repeat(4, 1)[:HEIGHT, :WIDTH] + rng.integers(-12, 13, (HEIGHT, WIDTH, channels))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


RGB, RGBA, GREY, LA = noise(3, 1), noise(4, 2), noise(1, 3), noise(2, 4)
CMYK = noise(4, 5)


def saved(pixels, format, mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


# JPEG

def segments(jpeg):
    """[(marker, body)] before the scan, and the rest."""
    found, at = [], 2
    while jpeg[at + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[at + 2:at + 4])[0]
        found.append((jpeg[at + 1], jpeg[at + 4:at + 2 + length]))
        at += 2 + length
    return found, jpeg[at:]


def joined(found, rest):
    body = b"".join(bytes([0xFF, m]) + struct.pack(">H", len(b) + 2) + b for m, b in found)
    return b"\xff\xd8" + body + rest


def profile_pieces(count=9, size=61_904):
    """A profile that no reader understands, in `count` segments: Photoshop writes them before its own marker."""
    return [(0xE2, b"ICC_PROFILE\0" + bytes([at + 1, count]) + bytes(size)) for at in range(count)]


def cmyk_jpegs():
    found, rest = segments(saved(CMYK, "JPEG", "CMYK", quality=90))
    adobe = [s for s in found if s[0] == 0xEE]
    others = [s for s in found if s[0] != 0xEE]
    assert len(adobe) == 1 and adobe[0][1][11] == 0
    ycck = [(0xEE, adobe[0][1][:11] + b"\2")]
    yield "adobe", joined(adobe + others, rest)
    yield "adobe behind 557 kB of profile", joined(profile_pieces() + adobe + others, rest)
    yield "no adobe", joined(others, rest)
    yield "no adobe, profile", joined(profile_pieces(2, 100) + others, rest)
    yield "ycck", joined(ycck + others, rest)
    yield "ycck behind 557 kB of profile", joined(profile_pieces() + ycck + others, rest)


def not_inverted(data):
    """The likeliest mistake with CMYK: ink taken for what is left of the paper."""
    inks = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    return np.asarray(Image.fromarray((255 - inks).astype(np.uint8), "CMYK").convert("RGB"))


def plain_jpegs():
    yield "rgb", saved(RGB, "JPEG", quality=90)
    yield "no subsampling", saved(RGB, "JPEG", quality=90, subsampling=0)
    yield "4:2:2", saved(RGB, "JPEG", quality=90, subsampling=1)
    yield "grey", saved(GREY, "JPEG", quality=90)
    yield "progressive", saved(RGB, "JPEG", quality=90, progressive=True)
    yield "restarts", saved(RGB, "JPEG", quality=90, restart_marker_blocks=1)
    yield "adobe rgb", saved(RGB, "JPEG", quality=90, keep_rgb=True)


def harmless_jpegs():
    whole = saved(RGB, "JPEG", quality=90)
    found, rest = segments(whole)
    yield "bytes between segments", whole[:20] + b"junk\0" + whole[20:]
    yield "escaped bytes between segments", whole[:20] + b"\xff\0" * 3 + whole[20:]
    yield "fill bytes before a marker", whole[:20] + b"\xff" * 5 + whole[20:]
    yield "a piece of a profile that has no other", joined(profile_pieces(2, 40)[1:] + found, rest)
    late = [(0xE2, b"ICC_PROFILE\0\2\1" + bytes(40))]
    yield "a profile after the frame header", joined(found + late, rest)
    jfif = [(m, b[:5] + b"\x09" + b[6:] if m == 0xE0 else b) for m, b in found]
    yield "an unknown version of jfif", joined(jfif, rest)
    adobe = [(0xEE, b"Adobe\0\x64\0\0\0\0\7")] + [s for s in found if s[0] != 0xE0]
    yield "an unknown transform of adobe", joined(adobe, rest)
    yield "bytes after the end", whole + b"trailer" * 9


# EXIF

def ifd(entries, at=8, order="<", next=0):
    """A directory at `at`: (tag, type, count, four bytes of value or offset)."""
    body = b"".join(struct.pack(order + "HHI", t, k, c) + v for t, k, c, v in entries)
    return struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", next)


def tiff(entries, order="<", next=0, after=b""):
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + ifd(entries, 8, order, next) + after


def turned(value, order="<", kind=3, count=1):
    return (0x112, kind, count, struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(4, b"\0"))


def exif_faults(o):
    """Blocks whose orientation is `o`, each with a fault elsewhere."""
    far = struct.pack("<I", 60_000)
    yield "good", tiff([turned(o)])
    yield "big-endian", tiff([turned(o, ">")], ">")
    yield "an offset out of range before it", tiff([(0x10F, 2, 40, far), turned(o)])
    yield "an offset out of range after it", tiff([turned(o), (0x131, 2, 40, far)])
    yield "an unknown type", tiff([(0x10F, 77, 1, b"abcd"), turned(o)])
    yield "a directory of details out of range", tiff([turned(o), (0x8769, 4, 1, far)])
    yield "a directory of details that is itself", tiff([turned(o), (0x8769, 4, 1, struct.pack("<I", 8))])
    yield "a next directory out of range", tiff([turned(o)], next=60_000)
    yield "cut before the next directory", tiff([turned(o)])[:-4]
    yield "cut in the second entry", tiff([turned(o), (0x10F, 2, 4, b"abc\0")])[:-10]
    yield "the prefix twice", b"Exif\0\0" + tiff([turned(o)])
    yield "a long integer", tiff([turned(o, kind=4)])
    yield "two values", tiff([turned(o, count=2)])
    yield "the tag twice", tiff([turned(o), turned(3)])
    thumbnail = ifd([turned(5)])
    yield "another of the thumbnail", tiff([turned(o)], next=26, after=thumbnail)


def unturned_exif():
    yield "zero", tiff([turned(0)])
    yield "nine", tiff([turned(9)])
    yield "a byte", tiff([(0x112, 1, 1, b"\6\0\0\0")])
    yield "none", tiff([(0x10F, 2, 4, b"abc\0")])
    yield "cut in its header", tiff([turned(6)])[:6]
    yield "of the thumbnail only", tiff([(0x10F, 2, 4, b"abc\0")], next=26, after=ifd([turned(5)]))


def jpeg_with(block):
    found, rest = segments(saved(RGB, "JPEG", quality=90))
    return joined([(0xE1, b"Exif\0\0" + block)] + found, rest)


def png_with(block):
    return png(RGB, 8, 2, extra=chunk(b"eXIf", block))


def webp_with(block):
    vp8l = saved(RGB, "WEBP", lossless=True)[12:]
    head = struct.pack("<4sIB3s", b"VP8X", 10, 0x08, b"\0\0\0")
    head += struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3]
    body = b"WEBP" + head + vp8l + struct.pack("<4sI", b"EXIF", len(block)) + block + bytes(len(block) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def oriented():
    for o in range(1, 9):
        for name, block in exif_faults(o):
            if o in (1, 6) or name in ("good", "the prefix twice"):
                yield f"jpeg, {o}, {name}", jpeg_with(block)
    for name, block in unturned_exif():
        yield f"jpeg, {name}", jpeg_with(block)
    for o in (3, 6):
        block = tiff([turned(o)])
        for what, made in ("png", png_with), ("webp", webp_with):
            yield f"{what}, {o}", made(block)
            yield f"{what}, {o}, the prefix", made(b"Exif\0\0" + block)
    for o in range(2, 9):
        yield f"tiff, {o}", saved(RGB, "TIFF", tiffinfo={0x112: o})


def unturned(data):
    image = Image.open(io.BytesIO(data))
    if image.format == "TIFF":
        # Pillow turns them itself.
        return RGB
    return np.asarray(image.convert("RGB"))


# PNG

def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def packed(samples, depth):
    """Rows of samples of `depth` bits, [h, w * channels], each with its filter byte."""
    rows = []
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            raw = row.astype(">u2").tobytes()
        elif depth == 8:
            raw = row.astype(np.uint8).tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth:]
            raw = np.packbits(bits.reshape(-1)).tobytes()
        rows.append(b"\0" + raw)
    return b"".join(rows)


def png(samples, depth, kind, extra=b"", interlaced=False):
    height, width = samples.shape[:2]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
        raw = b"".join(packed(part, depth) for part in parts if part.size)
    else:
        raw = packed(samples, depth)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def wide(pixels, seed):
    """16-bit samples whose lower byte is noise, often above the half."""
    low = np.random.default_rng(seed).integers(0, 256, pixels.shape)
    return pixels.astype(np.uint16) << 8 | low.astype(np.uint16)


def palette(colours, seed):
    return np.random.default_rng(seed).integers(0, 256, (colours, 3)).astype(np.uint8).tobytes()


def pngs():
    for depth in (1, 2, 4, 8):
        samples = GREY >> (8 - depth)
        yield f"grey {depth}", png(samples, depth, 0)
        yield f"grey {depth}, interlaced", png(samples, depth, 0, interlaced=True)
        colours = chunk(b"PLTE", palette(1 << depth, depth))
        yield f"palette {depth}", png(samples, depth, 3, colours)
        alphas = np.random.default_rng(depth).integers(0, 256, 1 << depth).astype(np.uint8).tobytes()
        yield f"palette {depth}, alphas", png(samples, depth, 3, colours + chunk(b"tRNS", alphas))
        yield f"palette {depth}, one alpha", png(samples, depth, 3, colours + chunk(b"tRNS", b"\0"))
    key = int(GREY[5, 5])
    yield "grey 8, key", png(GREY, 8, 0, chunk(b"tRNS", struct.pack(">H", key)))
    yield "rgb 8", png(RGB, 8, 2)
    yield "rgb 8, interlaced", png(RGB, 8, 2, interlaced=True)
    yield "rgb 8, key", png(RGB, 8, 2, chunk(b"tRNS", struct.pack(">HHH", *map(int, RGB[5, 5]))))
    yield "grey and alpha 8", png(LA, 8, 4)
    yield "rgba 8", png(RGBA, 8, 6)
    yield "rgba 8, interlaced", png(RGBA, 8, 6, interlaced=True)
    long = chunk(b"iCCP", b"x\0\0" + zlib.compress(np.random.default_rng(9).bytes(9000)))
    yield "palette 8, alphas behind 9 kB of profile", png(
        GREY, 8, 3, long + chunk(b"PLTE", palette(256, 8)) + chunk(b"tRNS", bytes(range(256))))


def wide_pngs():
    yield "grey 16", png(wide(GREY, 11), 16, 0)
    yield "rgb 16", png(wide(RGB, 12), 16, 2)
    yield "grey and alpha 16", png(wide(LA, 13), 16, 4)
    yield "rgba 16", png(wide(RGBA, 14), 16, 6)
    grey = wide(GREY, 11)
    yield "grey 16, key", png(grey, 16, 0, chunk(b"tRNS", struct.pack(">H", int(grey[5, 5]))))


def over_black(data):
    image = Image.open(io.BytesIO(data))
    if not image.has_transparency_data:
        return None
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.alpha_composite(image.convert("RGBA"))
    return np.asarray(black.convert("RGB"))


def rounded(data):
    """16 bits scaled to 8 and rounded, in place of the upper byte."""
    samples = {b: s for b, s in [(0, wide(GREY, 11)), (2, wide(RGB, 12)), (4, wide(LA, 13)), (6, wide(RGBA, 14))]}
    kind = data[25]
    if b"tRNS" in data:
        return None
    eight = ((samples[kind].astype(int) + 128) // 257).astype(np.uint8)
    return pillow_rgb(png(eight, 8, kind))


# The other formats

def webps():
    yield "lossless", saved(RGB, "WEBP", lossless=True)
    yield "lossless, alpha", saved(RGBA, "WEBP", lossless=True, exact=True)
    yield "animation", saved(Image.fromarray(RGB), "WEBP", lossless=True, save_all=True,
                             append_images=[Image.fromarray(RGB[::-1].copy())])


def gifs():
    colours = Image.fromarray(RGB).quantize(37)
    yield "palette", saved(colours, "GIF", interlace=0)
    yield "interlaced", saved(colours, "GIF", interlace=1)
    yield "transparent", saved(colours, "GIF", transparency=colours.getpixel((3, 3)))
    yield "grey", saved(GREY, "GIF")
    yield "a frame that reaches over the canvas", gif_beyond_its_canvas()
    yield "animation", saved(colours, "GIF", save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])


def gif_beyond_its_canvas():
    gif = bytearray(saved(Image.fromarray(RGB).quantize(37), "GIF"))
    gif[6:10] = struct.pack("<HH", WIDTH - 3, HEIGHT - 2)
    frame = gif.index(b"," + struct.pack("<HHHH", 0, 0, WIDTH, HEIGHT))
    gif[frame + 1:frame + 3] = struct.pack("<H", 1)
    # What is left of the frame is the first colour in Pillow, and transparent in browsers: it is white here.
    gif[13:16] = b"\xff\xff\xff"
    return bytes(gif)


def bmp(bits, raw, compression=0, colours=b"", masks=b"", height=HEIGHT):
    offset = 54 + len(masks) + len(colours)
    head = struct.pack("<2sIHHI", b"BM", offset + len(raw), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(raw), 0, 0, len(colours) // 4, 0)
    return head + info + masks + colours + raw


def bmp_rows(samples, dtype):
    """Rows from the bottom to the top, each padded to four bytes."""
    rows = [row.astype(dtype).tobytes() for row in samples[::-1]]
    return b"".join(row + bytes(-len(row) % 4) for row in rows)


def bmps():
    table = b"".join(palette(256, 21)[at:at + 3] + b"\0" for at in range(0, 768, 3))
    yield "8", bmp(8, bmp_rows(GREY, np.uint8), colours=table)
    nibbles = GREY >> 4
    pairs = np.pad(nibbles, ((0, 0), (0, 1)))
    yield "4", bmp(4, bmp_rows(pairs[:, ::2] << 4 | pairs[:, 1::2], np.uint8), colours=table[:64])
    yield "1", bmp(1, bmp_rows(np.packbits(GREY >> 7, axis=1), np.uint8), colours=table[:8])
    yield "24", bmp(24, bmp_rows(RGB[:, :, ::-1], np.uint8))
    yield "24, from the top", bmp(24, bmp_rows(RGB[::-1, :, ::-1], np.uint8), height=-HEIGHT)
    four = np.dstack([RGB[:, :, ::-1], np.zeros_like(GREY)])
    yield "32", bmp(32, bmp_rows(four, np.uint8))
    run = b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in GREY[::-1]) + b"\0\1"
    yield "8, runs", bmp(8, run, 1, table)


def wide_bmps():
    r, g, b = (RGB[:, :, c].astype(np.uint16) for c in range(3))
    yield "16, 5-6-5", bmp(16, bmp_rows((r >> 3 << 11) | (g >> 2 << 5) | b >> 3, "<u2"), 3,
                           masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    yield "16, 5-5-5", bmp(16, bmp_rows((r >> 3 << 10) | (g >> 3 << 5) | b >> 3, "<u2"))


def fourth_channel(meaning):
    """A TIFF whose tag ExtraSamples says what its fourth channel is."""
    tag = struct.pack("<HHI", 338, 3, 1)
    straight = saved(RGBA, "TIFF")
    assert straight.count(tag + b"\2\0") == 1
    return straight.replace(tag + b"\2\0", tag + struct.pack("<H", meaning))


def premultiplied_tiffs():
    yield "premultiplied", fourth_channel(1)


def straight(data):
    return pillow_rgb(fourth_channel(2))


def cmyk_tiffs():
    yield "cmyk", saved(CMYK, "TIFF", "CMYK")


def inverted(data):
    return np.asarray(Image.fromarray(255 - CMYK, "CMYK").convert("RGB"))


def tiffs():
    for name, pixels in ("grey", GREY), ("rgb", RGB), ("rgba", RGBA):
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            yield f"{name}, {compression}", saved(pixels, "TIFF", compression=compression)
    yield "a fourth channel that is no alpha", fourth_channel(0)
    yield "two colours", saved(Image.fromarray(GREY).convert("1"), "TIFF")
    yield "white is zero", saved(Image.fromarray(255 - GREY), "TIFF", tiffinfo={262: 0})


def planar_tiles():
    """A TIFF in planes of tiles that reach over its edge: at the second plane tiff 0.11 panics, Pillow does not."""
    pixels = np.random.default_rng(31).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    padded = np.pad(pixels, ((0, 12), (0, 12), (0, 0)))
    tiles = b"".join(padded[y:y + 16, x:x + 16, c].tobytes() for c in range(3) for y in (0, 16) for x in (0, 16))
    count, after = 12, 8 + 2 + 11 * 12 + 4
    data = after + 6 + 2 * 4 * count
    word, long = lambda v: struct.pack("<HH", v, 0), lambda v: struct.pack("<I", v)
    block = tiff([
        (256, 3, 1, word(20)), (257, 3, 1, word(20)), (258, 3, 3, long(after)), (259, 3, 1, word(1)),
        (262, 3, 1, word(2)), (277, 3, 1, word(3)), (284, 3, 1, word(2)), (322, 3, 1, word(16)), (323, 3, 1, word(16)),
        (324, 4, count, long(after + 6)), (325, 4, count, long(after + 6 + 4 * count)),
    ])
    lists = struct.pack("<3H", 8, 8, 8)
    lists += struct.pack(f"<{count}I", *(data + 256 * at for at in range(count))) + struct.pack(f"<{count}I", *[256] * count)
    block += lists + tiles
    assert (pillow_rgb(block) == pixels).all()
    return block


def netpbms():
    size = f"{WIDTH} {HEIGHT}\n".encode()
    yield "P6", b"P6\n" + size + b"255\n" + RGB.tobytes()
    yield "P5", b"P5\n# a comment\n" + size + b"255\n" + GREY.tobytes()
    yield "P4", b"P4\n" + size + np.packbits(GREY >> 7, axis=1).tobytes()
    yield "P3", b"P3\n" + size + b"255\n" + " ".join(map(str, RGB.reshape(-1))).encode()
    yield "P2", b"P2\n" + size + b"255\n" + " ".join(map(str, GREY.reshape(-1))).encode()
    yield "P1", b"P1\n" + size + " ".join(map(str, (GREY >> 7).reshape(-1))).encode()


def upside_down(data):
    return pillow_rgb(data)[::-1]


def mirrored(data):
    return pillow_rgb(data)[:, ::-1]


def nothing(data):
    return np.full_like(pillow_rgb(data), 255)


# Section, cases, levels that may differ, the likeliest mistake.
SECTIONS = [
    ("jpeg: cmyk", cmyk_jpegs, 1, "inks not inverted", not_inverted),
    ("jpeg: warnings", harmless_jpegs, 1, "rejected", nothing),
    ("jpeg", plain_jpegs, 1, "rejected", nothing),
    ("orientation", oriented, 1, "not turned", unturned),
    ("png", pngs, 0, "alpha over black", over_black),
    ("png: 16 bits", wide_pngs, 0, "rounded", rounded),
    ("webp", webps, 0, "alpha over black", over_black),
    ("gif", gifs, 0, "alpha over black", over_black),
    ("bmp", bmps, 0, "upside down", upside_down),
    # Of 5 or 6 bits Pillow cuts the level, where the image crate rounds.
    ("bmp: 16 bits", wide_bmps, 1, "upside down", upside_down),
    ("tiff", tiffs, 0, "alpha over black", over_black),
    ("tiff: premultiplied", premultiplied_tiffs, 1, "alpha as straight", straight),
    ("tiff: cmyk", cmyk_tiffs, 1, "inks inverted", inverted),
    ("netpbm", netpbms, 0, "mirrored", mirrored),
]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "planar_tiles.tif").write_bytes(planar_tiles())
    write_sections(OUT / "images.jsonl.gz", f"Pillow {__version__}", SECTIONS, lambda _, data: pillow_rgb(data))


main()
