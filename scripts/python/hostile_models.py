"""Weights that are made to hurt what opens them: `.pt` archives, safetensors, configurations. Standard library only."""

import copy
import io
import json
import random
import struct
import zipfile

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


def shapes():
    """The tensors of CONFIG's model, by open_clip's names."""
    found = {
        "positional_embedding": [16, 64], "text_projection": [64, 16], "logit_scale": [],
        "visual.class_embedding": [64], "visual.positional_embedding": [5, 64], "visual.proj": [64, 16],
        "visual.conv1.weight": [64, 3, 16, 16], "token_embedding.weight": [49408, 64],
    }
    for norm in ["visual.ln_pre", "visual.ln_post", "ln_final"]:
        found |= {f"{norm}.weight": [64], f"{norm}.bias": [64]}
    for tower in ["visual.transformer", "transformer"]:
        block = f"{tower}.resblocks.0"
        for norm in ["ln_1", "ln_2"]:
            found |= {f"{block}.{norm}.weight": [64], f"{block}.{norm}.bias": [64]}
        for name, out, size in [("mlp.c_fc", 256, 64), ("mlp.c_proj", 64, 256), ("attn.out_proj", 64, 64)]:
            found |= {f"{block}.{name}.weight": [out, size], f"{block}.{name}.bias": [out]}
        found |= {f"{block}.attn.in_proj_weight": [192, 64], f"{block}.attn.in_proj_bias": [192]}
    return found


def safetensors(header, data=b"", length=None):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head) if length is None else length) + head + data


def entry(shape, start, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def weights():
    """A good model of CONFIG with weights of chance, as a safetensors file."""
    draw, header, data = random.Random(3), {"__metadata__": {"format": "pt"}}, bytearray()
    for name, shape in shapes().items():
        count = 1
        for side in shape:
            count *= side
        start = len(data)
        few = struct.pack("<1000f", *(draw.gauss(0, 0.1) for _ in range(1000)))
        data += (few * (count // 1000 + 1))[: 4 * count]
        header[name] = entry(shape, start, len(data))
    return safetensors(header, bytes(data))


def archive(pickle, storage=bytes(64), method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in [("data.pkl", pickle), ("byteorder", b"little"), ("data/0", storage), ("version", b"3\n")]:
            file.writestr(f"archive/{name}", content)
    return out.getvalue()


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(size, stride, offset=0, numel=16):
    sides = lambda values: b"(" + b"".join(map(number, values)) + b"t"
    storage = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + number(numel) + b"tQ"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + sides(size) + sides(stride)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def state(*tensors):
    return b"\x80\x02}(" + b"".join(text(b"w%d" % n) + t for n, t in enumerate(tensors)) + b"u."


def archives():
    repeated = b"\x80\x02](" + text(b"A" * (1 << 20)) + b"q\x01" + b"h\x01" * 40_000 + b"e."
    sizes = b"\x80\x02(" + b"N" * 900_000 + b"tq\0ctorch\nSize\nq\x01" + b"h\x01h\0\x85R0" * 4000 + b"}."
    transposed = archive(b"\x80\x02](" + tensor([2048, 2048], [1, 2048], numel=1 << 22) + b"q\x01" + b"h\x01" * 5000 + b"e.", bytes(1 << 24))
    return {
        "text_40g.pt": archive(repeated),
        "sizes_30g.pt": archive(sizes),
        "views_80g.pt": transposed,
        "strides_40g.pt": archive(state(tensor([100_000, 100_000], [0, 0]))),
        "strides_4g.pt": archive(state(tensor([30_000, 30_000], [0, 0]))),
        "numel.pt": archive(state(tensor([1 << 40, 1 << 40], [0, 0]))),
        "storage.pt": archive(state(tensor([4], [1], numel=1 << 62))),
        "dimensions.pt": archive(state(tensor([1] * 100_000, [1] * 100_000))),
        "code.pt": archive(b"cposix\nsystem\n(" + text(b"true") + b"tR."),
        "deep.pt": archive(b"\x80\x02]q\0" + b"\x85" * 1_000_000 + b"."),
        "self.pt": archive(b"\x80\x02]q\0h\0a."),
        "deflated.pt": archive(b"\x80\x02}." + bytes(1 << 28), method=zipfile.ZIP_DEFLATED),
    }


def headers():
    deep = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    many = {f"a{n}": entry([0], 0, 0) for n in range(300_000)}
    return {
        "length.safetensors": safetensors(b"", length=1 << 63),
        "spaces.safetensors": safetensors(b" " * (99 << 20) + b"{}"),
        "product.safetensors": safetensors({"a": entry([1 << 62, 4], 0, 0)}),
        "overlap.safetensors": safetensors({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
        "deep.safetensors": safetensors(deep),
        "many.safetensors": safetensors(many),
        "numbered.safetensors": safetensors(
            {"text_projection": entry([1, 1], 0, 4), f"transformer.resblocks.{2**63 - 1}.x": entry([1], 4, 8)}, bytes(8)
        ),
    }


def configurations():
    """Name to the fields that it changes."""
    return {
        "text_layers": ("text_cfg", {"layers": 10**6}),
        "layers": ("vision_cfg", {"layers": 10**9}),
        "stages": ("vision_cfg", {"layers": [10**9, 1, 1, 1], "patch_size": None}),
        "width": ("text_cfg", {"width": 2**62}),
        "large_width": ("vision_cfg", {"width": 65_536, "layers": 1000}),
        "image_size": ("vision_cfg", {"image_size": 2**62}),
        "grid": ("vision_cfg", {"image_size": 16_384, "patch_size": 1}),
        "mlp_ratio": ("vision_cfg", {"mlp_ratio": 1e300}),
        "heads": ("text_cfg", {"heads": 0}),
        "context": ("text_cfg", {"context_length": 2**63 - 1}),
        "vocabulary": ("text_cfg", {"vocab_size": 999_999_999_999}),
        "embed_dim": (None, {"embed_dim": 2**63 - 1}),
    }


def changed(part, fields):
    config = copy.deepcopy(CONFIG)
    (config[part] if part else config).update(fields)
    return {"model_cfg": config, "preprocess_cfg": {}}
