#!/usr/bin/env python3
# requires: pillow==13.0.0 numpy==2.3.5 pillow-jxl-plugin==1.3.8 imagecodecs==2026.3.6
"""AVIF and JPEG XL files of every kind with the pixels that Pillow gives them by libavif and libjxl, for clip-image's
test of the same name. Encoded by Pillow and imagecodecs; containers that neither writes are put together here."""
import io
import struct
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_jxl  # noqa: F401
from PIL import Image, ImageCms, __version__, features

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from pillow_rgb import pillow_rgb  # noqa: E402
from pixel_sections import write_sections  # noqa: E402

OUT = Path("crates/clip-image/tests/golden/oracle/avif_jxl")
WIDTH, HEIGHT = 37, 22


def photo(channels, seed, width=WIDTH, height=HEIGHT):
    """A slope of colours with edges and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 6, y * 11, (x + y) * 4, 255 - x * 5][:channels]
    pixels = np.dstack(planes) % 256 + rng.integers(-3, 4, (height, width, channels))
    pixels[height // 3:height // 2, width // 4:width // 2] = rng.integers(0, 256, channels)
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


RGB, RGBA, GREY, LA = photo(3, 1), photo(4, 2), photo(1, 3), photo(2, 4)


def wide(pixels, bits, seed):
    """Samples of `bits` bits, whose lower bits are noise."""
    low = np.random.default_rng(seed).integers(0, 1 << bits - 8, pixels.shape)
    return (pixels.astype(np.uint16) << bits - 8 | low).astype(np.uint16)


def saved(pixels, format, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def avif(pixels, **options):
    return saved(pixels, "AVIF", **{"quality": 80, "speed": 8, "max_threads": 1, **options})


# Boxes

def box(name, body):
    return struct.pack(">I", len(body) + 8) + name + body


def full(name, body, version=0, flags=0):
    return box(name, struct.pack(">I", version << 24 | flags) + body)


def boxes(data):
    at = 0
    while at < len(data):
        size = struct.unpack(">I", data[at:at + 4])[0] or len(data) - at
        yield data[at + 4:at + 8], data[at + 8:at + size]
        at += size


def found(data, *path):
    for name in path:
        data = next(body for box_name, body in boxes(data) if box_name == name)
        data = data[4:] if name in (b"meta", b"iprp_") else data
    return data


def av1(pixels, **options):
    """The AV1 data of an image, and its property av1C."""
    file = avif(pixels, **options)
    return found(file, b"mdat"), found(file, b"meta", b"iprp", b"ipco", b"av1C")


def ispe(width, height):
    return full(b"ispe", struct.pack(">II", width, height))


def heif(items, properties, owners, references=b"", primary=1, brand=b"avif", ids=2):
    """A file of items (id, kind, bytes), properties, what each item has of them, and `iref`'s boxes."""
    number = {2: ">H", 4: ">I"}[ids]
    infe = b"".join(full(b"infe", struct.pack(number, i) + b"\0\0" + kind + b"\0", 2 if ids == 2 else 3)
                    for i, kind, _ in items)
    ipma = b"".join(struct.pack(number, i) + bytes([len(some)]) + bytes(some) for i, some in owners)

    def file(start):
        at, places = start, b""
        for i, _, data in items:
            places += struct.pack(number, i) + (b"\0\0" if ids == 4 else b"") + struct.pack(">HHII", 0, 1, at, len(data))
            at += len(data)
        iloc = struct.pack(">H" + number[1], 0x4400, len(items)) + places
        meta = full(b"meta", b"".join([
            full(b"hdlr", b"\0\0\0\0pict" + bytes(13)),
            full(b"pitm", struct.pack(number, primary), 0 if ids == 2 else 1),
            full(b"iloc", iloc, 0 if ids == 2 else 2),
            full(b"iinf", struct.pack(number, len(items)) + infe, 0 if ids == 2 else 1),
            box(b"iprp", box(b"ipco", b"".join(properties))
                + full(b"ipma", struct.pack(">I", len(owners)) + ipma, 0 if ids == 2 else 1)),
            full(b"iref", references, 0 if ids == 2 else 1) if references else b"",
        ]))
        return box(b"ftyp", brand + b"\0\0\0\0" + b"mif1miafavif") + meta

    head = file(0)
    return file(len(head) + 8) + box(b"mdat", b"".join(data for _, _, data in items))


def grid(columns, rows, tile, size, channels=3, seed=11, ids=2, **options):
    """A grid of tiles; with four channels, another grid is its alpha."""
    width, height = tile
    item, link = (">H", ">HH") if ids == 2 else (">I", ">IH")
    pixels = photo(channels, seed, width * columns, height * rows)
    items, owners, references = [], [], b""
    properties = [ispe(*size), ispe(*tile)]
    for of_alpha in range(1 if channels == 3 else 2):
        whole = pixels[:, :, 3] if of_alpha else pixels[:, :, :3]
        first = 1 + of_alpha * (columns * rows + 1)
        head = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
        items.append((first, b"grid", head))
        tiles = []
        for at in range(columns * rows):
            x, y = at % columns * width, at // columns * height
            data, av1c = av1(whole[y:y + height, x:x + width], **options)
            tiles.append(first + 1 + at)
            items.append((first + 1 + at, b"av01", data))
        properties.append(box(b"av1C", av1c))
        own = [len(properties)]
        if of_alpha:
            properties.append(full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"))
            owners.append((first, [1, len(properties)]))
            references += box(b"auxl", struct.pack(link, first, 1) + struct.pack(item, 1))
        else:
            properties.append(box(b"pixi", b"\0\0\0\0\3\x08\x08\x08"))
            owners.append((first, [1, len(properties)]))
        owners += [(tile, [2] + own) for tile in tiles]
        references += box(b"dimg", struct.pack(link, first, len(tiles)) + b"".join(struct.pack(item, t) for t in tiles))
    return heif(items, properties, owners, references, ids=ids)


def without_times(file):
    """A sequence as if it had been made in 1904."""
    file = bytearray(file)
    for name in b"mvhd", b"tkhd", b"mdhd":
        at = file.index(name) + 4
        wide = file[at] == 1
        file[at + 4:at + 4 + (16 if wide else 8)] = bytes(16 if wide else 8)
    return bytes(file)


# AVIF

def avifs():
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield sampling, avif(RGB, subsampling=sampling)
        yield f"{sampling}, limited range", avif(RGB, subsampling=sampling, range="limited")
    yield "grey", avif(GREY, subsampling="4:0:0")
    yield "grey, limited range", avif(GREY, subsampling="4:0:0", range="limited")
    yield "one pixel", avif(RGB[:1, :1])
    yield "odd sides", avif(RGB[:13, :7])
    yield "several tiles of AV1", avif(photo(3, 5, 136, 80), tile_rows=1, tile_cols=1)
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    icc[24:36] = bytes(12)
    yield "a profile", avif(RGB, icc_profile=bytes(icc))
    yield "EXIF", avif(RGB, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\1\0\0\0\0\0\0")
    frames = [Image.fromarray(RGB[::-1].copy()), Image.fromarray(GREY).convert("RGB")]
    yield "a sequence", without_times(avif(RGB, save_all=True, append_images=frames))
    major = bytearray(avif(RGB))
    major[8:12] = b"mif1"
    yield "of the brand mif1", bytes(major)


def clear_avifs():
    yield "alpha", avif(RGBA)
    yield "alpha, 4:4:4", avif(RGBA, subsampling="4:4:4", quality=95)
    yield "grey and alpha", avif(Image.fromarray(LA, "LA"))


def premultiplied_avifs():
    yield "premultiplied alpha", avif(RGBA, alpha_premultiplied=True, quality=95)


def turned_avifs():
    for o in range(2, 9):
        yield f"turned, {o}", avif(RGB, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0" + bytes([o]) + bytes(6))


def wide_avifs():
    for bits in (10, 12):
        for name, pixels in ("rgb", RGB), ("rgba", RGBA), ("grey", GREY):
            yield f"{bits} bits, {name}", imagecodecs.avif_encode(wide(pixels, bits, bits), 90, bitspersample=bits, speed=8)
        for sampling in ("444", "422", "420"):
            data = wide(RGB, bits, bits)
            yield f"{bits} bits, {sampling}", imagecodecs.avif_encode(
                data, 90, bitspersample=bits, pixelformat=sampling, speed=8)


def matrices():
    for name, matrix in ("BT.709", 1), ("FCC", 4), ("SMPTE 240", 7), ("YCgCo", 8), ("BT.2020", 9), ("identity", 0):
        sampling = "444" if matrix in (0, 8) else "420"
        yield name, imagecodecs.avif_encode(RGB, 90, pixelformat=sampling, matrix=matrix, speed=8)


def grids():
    yield "2 by 2", grid(2, 2, (64, 64), (66, 70), subsampling="4:4:4")
    yield "3 by 1, cut at its edges, 4:2:0", grid(3, 1, (64, 66), (130, 60), subsampling="4:2:0")
    yield "2 by 2 with alpha", grid(2, 2, (64, 64), (66, 68), 4, subsampling="4:2:0")
    yield "numbers of 32 bits", grid(1, 2, (64, 64), (64, 66), ids=4, subsampling="4:2:2")


# JPEG XL

def jxl(pixels, **options):
    return saved(pixels, "JXL", **options)


def lossless_jxls():
    for name, pixels in ("rgb", RGB), ("rgba", RGBA), ("grey", GREY):
        yield f"lossless, {name}", jxl(pixels, lossless=True)
    yield "lossless, grey and alpha", jxl(Image.fromarray(LA, "LA"), lossless=True)
    yield "one pixel", jxl(RGB[:1, :1].copy(), lossless=True)
    yield "boxes", jxl(RGB, lossless=True, use_container=True)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\1\0\0\0\0\0\0"
    yield "EXIF", jxl(RGB, lossless=True, exif=exif, compress_metadata=False)
    yield "squeezed", imagecodecs.jpegxl_encode(photo(3, 6, 90, 70), lossless=True, effort=7, decodingspeed=0)


def lossy_jxls():
    for quality in (95, 60):
        yield f"quality {quality}", jxl(photo(3, 7, 70, 50), quality=quality)
    yield "quality 90, alpha", jxl(RGBA, quality=90)
    yield "quality 90, grey", jxl(GREY, quality=90)
    yield "several groups", jxl(photo(3, 8, 270, 40), quality=80)


def by_libjxl():
    """What the plugin does not ask libjxl for: of a JPEG it unpacks the file, of an animation it gives the last frame."""
    yield "a JPEG", imagecodecs.jpegxl_encode_jpeg(saved(photo(3, 9, 64, 48), "JPEG", quality=85))
    frames = np.stack([RGB, RGB[::-1], RGB[:, ::-1]])
    yield "an animation", imagecodecs.jpegxl_encode(frames, lossless=True)


def first_frame(data):
    pixels = imagecodecs.jpegxl_decode(data)
    return pixels[0] if pixels.ndim == 4 else pixels


def wide_jxls():
    for bits in (10, 12, 16):
        yield f"{bits} bits", imagecodecs.jpegxl_encode(wide(RGB, bits, bits), lossless=True, bitspersample=bits)
    yield "16 bits, grey", imagecodecs.jpegxl_encode(wide(GREY, 16, 5), lossless=True, photometric="gray")
    yield "32 bits, floating point", imagecodecs.jpegxl_encode((RGB / 255).astype(np.float32), lossless=True)


# What is likeliest wrong

def over_black(data):
    image = Image.open(io.BytesIO(data))
    if not image.has_transparency_data:
        return None
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.alpha_composite(image.convert("RGBA"))
    return np.asarray(black.convert("RGB"))


def mirrored(data):
    return pillow_rgb(data)[:, ::-1]


def unturned(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def as_straight(data):
    """Colours that are multiplied by alpha already, multiplied again."""
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(float)
    colours, alpha = image[:, :, :3], image[:, :, 3:] / 255
    return (colours * alpha * alpha + 255 * (1 - alpha)).astype(np.uint8)


def one_matrix(data):
    """Colours taken by the matrix of BT.601, whatever the file says."""
    if b"nclx" not in data:
        return None
    at = data.index(b"nclx") + 8
    return pillow_rgb(data[:at] + (b"\0\6") + data[at + 2:])


def last_frame(data):
    pixels = imagecodecs.jpegxl_decode(data)
    return pixels[-1] if pixels.ndim == 4 else None


def files():
    """Small files that other tests and the fuzzer begin with."""
    maker = b"\1\x0f\0\2\0\0\0\4abc\0"
    turned = b"MM\0*\0\0\0\x08\0\2" + maker + b"\1\x12\0\3\0\0\0\1\0\6\0\0" + bytes(4)
    yield "turned.avif", avif(RGBA[:12, :10].copy(), exif=b"Exif\0\0" + turned, quality=50)
    yield "grid.avif", grid(2, 1, (64, 64), (70, 64), quality=10)
    yield "boxes.jxl", jxl(RGB[:6, :9].copy(), lossless=True, exif=b"Exif\0\0" + turned, compress_metadata=False)
    yield "lossy.jxl", imagecodecs.jpegxl_encode(RGBA[:12, :10].copy(), level=60, usecontainer=False)


SECTIONS = [
    # Of chroma that two pixels share libavif's fast path rounds more often.
    ("avif", avifs, 3, "mirrored", mirrored),
    ("avif: alpha", clear_avifs, 3, "alpha over black", over_black),
    ("avif: premultiplied alpha", premultiplied_avifs, 4, "as straight", as_straight),
    ("avif: turned", turned_avifs, 3, "not turned", unturned),
    # libavif's own distance from exact arithmetic is up to 3 levels here.
    ("avif: 10 and 12 bits", wide_avifs, 4, "mirrored", mirrored),
    ("avif: matrices", matrices, 3, "BT.601 for all", one_matrix),
    ("avif: grids", grids, 3, "mirrored", mirrored),
    ("jpeg xl: lossless", lossless_jxls, 0, "mirrored", mirrored),
    ("jpeg xl: lossy", lossy_jxls, 2, "mirrored", mirrored),
    ("jpeg xl: more than 8 bits", wide_jxls, 1, "mirrored", mirrored),
    ("jpeg xl: by libjxl alone", by_libjxl, 2, "the last frame", last_frame),
]


def right(cases, data):
    return first_frame(data) if cases is by_libjxl else pillow_rgb(data)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in files():
        (OUT / name).write_bytes(data)
    write_sections(OUT / "images.jsonl.gz", f"Pillow {__version__}, libavif {features.version('avif')}, pillow-jxl-plugin", SECTIONS, right)


main()
