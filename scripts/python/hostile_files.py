"""Lists, archives, tables and evaluation sets that are made to hurt what reads them. Standard library only."""

import gzip
import io
import json
import os
import random
import struct
import tarfile
import zlib


def crc_of_repeats(crc, block, times):
    """CRC-32 of what has `crc`, followed by the block that many times, without going through them all."""
    # What a block's worth of zero bytes does to each bit of a CRC (Mark Adler's crc32_combine).
    step = [zlib.crc32(bytes(len(block)), 1 << bit ^ 0xFFFFFFFF) ^ zlib.crc32(bytes(len(block)), 0xFFFFFFFF) for bit in range(32)]
    own = zlib.crc32(block)
    for _ in range(times):
        shifted = 0
        for bit in range(32):
            if crc >> bit & 1:
                shifted ^= step[bit]
        crc = shifted ^ own
    return crc


def bomb(count, start=b"", end=b""):
    """A good gzip file of `start`, that many bytes `a`, and `end`, without making them all."""
    block, times = b"a" * (1 << 20), count >> 20
    flush = lambda data, end: (lambda c: c.compress(data) + c.flush(end))(zlib.compressobj(9, zlib.DEFLATED, -15))
    deflated = flush(start, zlib.Z_FULL_FLUSH) + flush(block, zlib.Z_FULL_FLUSH) * times + flush(end, zlib.Z_FINISH)
    crc = zlib.crc32(end, crc_of_repeats(zlib.crc32(start), block, times))
    length = len(start) + times * len(block) + len(end)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated + struct.pack("<II", crc, length % 2**32)


def lists():
    deep = b"[" * 1_000_000
    row = lambda caption: json.dumps({"url": "http://127.0.0.1:9/a.png", "caption": caption}).encode() + b"\n"
    lines = b"".join(row("x" * 1_000_000) for _ in range(2000))
    return {
        "line_8g.txt.gz": bomb(8 << 30, end=b"\nhttp://127.0.0.1:9/a.png\n"),
        "line_8g.csv.gz": bomb(8 << 30, b"url,caption\n", b"\nhttp://127.0.0.1:9/a.png,a good caption\n"),
        "line_8g.tsv.gz": bomb(8 << 30, b"url\tcaption\n\"", b"\nhttp://127.0.0.1:9/a.png\ta good caption\n"),
        "line_8g.jsonl.gz": bomb(8 << 30, b'{"url":"', b'\n{"url":"http://127.0.0.1:9/a.png","caption":"good"}\n'),
        "text_8g.json.gz": bomb(8 << 30, b'[{"url":"'),
        "header_8g.csv.gz": bomb(8 << 30),
        "deep.json": deep,
        "deep.jsonl": deep + b"\n",
        "deep_column.jsonl": b'{"url":"http://127.0.0.1:9/a.png","caption":' + deep + b"\n",
        "columns.csv": b"url," + b",".join(b"c%d" % n for n in range(500_000)) + b"\n",
        "captions_2g.jsonl.gz": gzip.compress(lines, 1),
        "quote.csv": b"url,caption\n" + b'"' * 3_000_001 + b"\n",
    }


def text_list(captions):
    rows = (json.dumps({"url": f"http://127.0.0.1:9/{n}.png", "caption": c}) for n, c in enumerate(captions))
    return "\n".join(rows).encode() + b"\n"


def captions():
    """Long runs of what text rules look for."""
    units = ["&", "&#", "&amp", "amp;", "&amp;", "<", " ", "1", "(", "a", "Ã", "Ã ", "â€", "\u0301", "Σ", "\x1b[", "http://"]
    long = [unit * (400_000 // len(unit)) for unit in units]
    return long + ["&" + text for text in long] + ["a good caption of a red apple"]


def header(name, size, kind=b"0"):
    block = bytearray(512)
    block[: len(name)] = name
    block[100:107], block[124:136], block[156:157] = b"0000644", size, kind
    block[257:263], block[148:156] = b"ustar\0", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def shard(image, count=20):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for n in range(count):
            for field, content in [("png", image), ("txt", b"a small image of noise")]:
                info = tarfile.TarInfo(f"{n:05d}.{field}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def shards(image):
    end = bytes(1024)
    many = io.BytesIO()
    with tarfile.open(fileobj=many, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for n in range(60_000):
            tar.addfile(tarfile.TarInfo(f"a.f{n}"), io.BytesIO())
    return {
        "size_octal.tar": header(b"a.png", b"77777777777\0") + end,
        "size_binary.tar": header(b"a.png", b"\x80" + b"\xff" * 11) + end,
        "size_negative.tar": header(b"a.png", b"\xff" * 12) + end,
        "long_name.tar": header(b"././@LongLink", b"00077777777\0", b"L") + end,
        "pax.tar": header(b"x", b"00077777777\0", b"x") + end,
        "many_fields.tar": many.getvalue(),
        "cut.tar": shard(image)[:20_000],
        "zeros.tar": end,
        "empty.tar": b"",
    }


def evaluation_sets(image):
    """Path to content, of sets whose files claim what they have not."""
    idx = lambda *numbers: struct.pack(f">{len(numbers)}I", *numbers)
    labels = idx(0x801, 1) + b"\1"
    element = lambda kind, data: struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)
    big = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<II", 2**31 - 1, 2**31 - 1))
    mat = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    found = {
        "idx_claims/t10k-images-idx3-ubyte": idx(0x803, 1, 2**32 - 1, 2**32 - 1) + bytes(10),
        "idx_claims/t10k-labels-idx1-ubyte": labels,
        "idx_count/t10k-images-idx3-ubyte": idx(0x803, 2**32 - 1, 28, 28) + bytes(784),
        "idx_count/t10k-labels-idx1-ubyte": idx(0x801, 2**32 - 1) + b"\1",
        "idx_bomb/t10k-images-idx3-ubyte": idx(0x803, 1, 2, 2) + bytes(4),
        "idx_bomb/t10k-labels-idx1-ubyte.gz": bomb(8 << 30, labels),
        "mat/cars_test_annos_withlabels.mat": mat + element(14, big + element(1, b"a")),
        "mat/cars_test/00001.png": image,
        "pets/annotations/test.txt": b"Abyssinian_1 99999999999999 1 1\n",
        "pets/images/Abyssinian_1.jpg": image,
        "table/huge.csv": b"image,label\na.png,999999999999\na.png,cat\n",
        "table/a.png": image,
        "marks/marks.csv": b"image,labels\na.png,4000000000\n",
        "marks/a.png": image,
        "classes/cat/a.png": image,
        "classes/dog/a.png": image,
    }
    return found


def npy(numbers, shape, kind="<i8", code="q"):
    head = str({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + struct.pack(f"<{len(numbers)}{code}", *numbers)


def features():
    rows = [n / 40 for n in range(80)]
    return {
        "train.npy": npy(rows[:40], (10, 4), "<f4", "f"),
        "test.npy": npy(rows[40:], (10, 4), "<f4", "f"),
        "train_labels.npy": npy([0, 1] * 4 + [0, 999_999_999_999], (10,)),
        "test_labels.npy": npy([0, 1] * 5, (10,)),
    }


def pickles():
    """CIFAR's batches for Python: Python's own pickle, with lies in it."""
    text = lambda value: b"U" + bytes([len(value)]) + value
    return {
        "cifar_long/test_batch": b"\x80\2}(" + text(b"data") + b"B\xff\xff\xff\x7f" + b"x" * 100,
        "cifar_deep/test_batch": b"\x80\2" + b"]" * 1_000_000 + b".",
    }


def mutated(content, count, seed):
    """Copies of a Parquet file with bits flipped, bytes replaced, stretches taken out, or cut."""
    draw = random.Random(seed)
    footer = struct.unpack("<I", content[-8:-4])[0]
    for turn in range(count):
        data = bytearray(content)
        start = len(data) - 8 - footer if turn % 2 else 0
        for _ in range(draw.choice([1, 1, 2, 4])):
            at = draw.randrange(start, len(data))
            kind = draw.randrange(4)
            if kind == 0:
                data[at] ^= 1 << draw.randrange(8)
            elif kind == 1:
                data[at] = draw.choice([0, 0x7F, 0x80, 0xFC, 0xFF])
            elif kind == 2:
                data[at : at + 9] = b"\xff" * len(data[at : at + 9])
            else:
                data[at] = draw.randrange(256)
        cut = draw.randrange(8)
        if cut == 0:
            del data[draw.randrange(len(data)) :]
        elif cut == 1:
            at = draw.randrange(len(data))
            del data[at : at + 10]
        yield bytes(data)


def write(folder, files):
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
