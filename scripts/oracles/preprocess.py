# open_clip's preprocess_cfg: pixels, normalised values, transformers' processors, and the embeddings of a tiny model.
# requires: @clip
import base64
import gzip
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import open_clip
import torch
import transformers
from open_clip.push_to_hf_hub import save_config_for_hf
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import Compose, Normalize, ToTensor

OUT = "tests/golden/oracle/preprocess"
PIXELS, MODEL, EMBED = (Path("crates", crate, OUT) for crate in ("clip-image", "clip-model", "clip-embed"))
OPENAI = dict(mean=PreprocessCfg.mean, std=PreprocessCfg.std)
NORMS = [OPENAI, dict(mean=(0.5,) * 3, std=(0.5,) * 3), dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
         dict(mean=(0.0,) * 3, std=(1.0,) * 3)]
# Without fill_color where nothing is padded.
CASES = [dict(resize_mode=mode, interpolation=interpolation, fill_color=fill)
         for mode in ("shortest", "longest", "squash") for interpolation in ("bicubic", "bilinear", "random")
         for fill in ((0, 3, 255) if mode == "longest" else (0,)) if interpolation != "random" or fill == 0]


def texture(height, width, channels, seed):
    """Waves under blocks of colour: edges, texture, and few bytes."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    blocks = (y // 5 * 7 + x // 4 * 11 + c * 5 + seed * 3) % 13 * 16
    return np.clip(blocks + (y * (3 + c) + x * (5 + seed)) % 32 + 8, 0, 255).astype(np.uint8)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png16(pixels):
    """A PNG of 16 bits a level, which Pillow does not write."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def images():
    rgb = {name: Image.fromarray(texture(height, width, 3, seed)) for seed, (name, height, width) in enumerate([
        ("wide", 31, 50), ("tall", 61, 27), ("odd", 24, 19), ("small", 5, 9), ("same", 16, 16), ("one side", 16, 37),
        ("half a pixel", 32, 5), ("half a pixel more", 7, 32), ("one pixel wide", 20, 1), ("one pixel high", 1, 23),
        ("one pixel", 1, 1), ("very wide", 3, 90), ("much taller", 120, 20)])}
    for name, image in rgb.items():
        yield f"{name}.png", encoded(image, "PNG")
    rgba, wide = Image.fromarray(texture(29, 41, 4, 20)), rgb["wide"]
    yield "transparent.png", encoded(rgba, "PNG")
    yield "transparent, same.png", encoded(rgba.crop((3, 4, 19, 20)), "PNG")
    yield "transparent, small.png", encoded(rgba.crop((0, 0, 9, 6)), "PNG")
    yield "transparent.webp", encoded(rgba, "WEBP", lossless=True, exact=True)
    grey = Image.fromarray(texture(22, 35, 1, 21)[:, :, 0])
    yield "grey.png", encoded(grey, "PNG")
    yield "grey, transparent.png", encoded(Image.merge("LA", (grey, grey.transpose(0))), "PNG")
    yield "grey.gif", encoded(Image.fromarray(np.arange(300).reshape(12, 25).astype(np.uint8)), "GIF", optimize=False)
    yield "palette.png", encoded(wide.quantize(37), "PNG")
    yield "palette of two.png", encoded(wide.quantize(2), "PNG")
    yield "palette, transparent.png", encoded(wide.quantize(20), "PNG", transparency=4)
    yield "palette.gif", encoded(wide.quantize(25), "GIF")
    # At 28 pixels the nearest of two is decided by the rounding of a sum.
    yield "palette, ties.png", encoded(Image.fromarray(texture(32, 40, 3, 23)).quantize(200), "PNG")
    yield "two colours.png", encoded(grey.convert("1"), "PNG")
    yield "key.png", encoded(wide, "PNG", transparency=wide.getpixel((3, 3)))
    deep = texture(21, 30, 4, 22).astype(np.uint16) * 251 + 7
    yield "16 bits.png", png16(deep[:, :, :3])
    yield "16 bits, transparent.png", png16(deep)
    yield "16 bits, grey, transparent.png", png16(deep[:, :, 2:])


def text(data):
    return base64.b64encode(data).decode()


def transform(size, **fields):
    """open_clip's transform, and the same up to the bytes."""
    whole = image_transform_v2(PreprocessCfg(size=size, **fields), is_train=False)
    return whole, Compose([step for step in whole.transforms if not isinstance(step, (ToTensor, Normalize))])


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def pixels():
    lines = []
    for name, data in images():
        size, found = 28 if "ties" in name else 16, []
        for case in CASES:
            out = np.asarray(transform(size, **case)[1](Image.open(io.BytesIO(data))))
            assert out.shape == (size, size, 3) and out.dtype == np.uint8, (name, out.shape)
            found.append(out)
        # The likeliest mistakes: the default for everything, and the other kernel.
        default = np.asarray(transform(size)[1](Image.open(io.BytesIO(data)))).astype(int)
        kernel = {"bicubic": "bilinear", "bilinear": "bicubic", "random": "bilinear"}
        cases = []
        for case, out in zip(CASES, found):
            other = dict(case, interpolation=kernel[case["interpolation"]])
            other = np.asarray(transform(size, **other)[1](Image.open(io.BytesIO(data)))).astype(int)
            wrong = dict(default=int(abs(out - default).max()), kernel=int(abs(out - other).max()))
            cases.append(dict(case, wrong_by=wrong, pixels=text(out.tobytes())))
        if name in ("wide.png", "tall.png", "transparent.png"):
            assert all(case["wrong_by"]["kernel"] > 0 for case in cases), name
        lines.append(dict(name=name, size=size, image=text(data), cases=cases))
    write(PIXELS / "pixels.jsonl.gz", lines)


def normalised():
    """Every level in every channel, through the whole transform."""
    levels = np.stack([np.roll(np.arange(256), shift).reshape(16, 16) for shift in (0, 85, 170)], 2).astype(np.uint8)
    lines = []
    for norm in NORMS:
        whole, bytes_only = transform(16, resize_mode="squash", **norm)
        image = Image.fromarray(levels)
        assert (np.asarray(bytes_only(image)) == levels).all()
        values = whole(image).numpy()
        wrong = float(abs(values - transform(16, resize_mode="squash")[0](image).numpy()).max())
        assert norm == OPENAI or wrong > 1e-3
        lines.append(dict(norm, wrong_by=wrong, pixels=text(levels.tobytes()), values=text(values.tobytes())))
    write(MODEL / "normalised.jsonl.gz", lines)


def processors():
    """What transformers itself writes for settings that open_clip has too."""
    lines = []
    for kind in (transformers.CLIPImageProcessor, transformers.SiglipImageProcessor):
        for norm in NORMS[:2]:
            for interpolation, resample in (("bicubic", 3), ("bilinear", 2)):
                square = dict(height=32, width=32)
                for mode, fields in (("shortest", dict(size=dict(shortest_edge=32), crop_size=square, do_center_crop=True)),
                                     ("squash", dict(size=square, do_center_crop=False))):
                    if kind is transformers.SiglipImageProcessor and mode == "shortest":
                        continue
                    made = kind(resample=resample, image_mean=norm["mean"], image_std=norm["std"], **fields)
                    cfg = dict(norm, interpolation=interpolation, resize_mode=mode, fill_color=0)
                    lines.append(dict(processor=json.loads(made.to_json_string()), preprocess_cfg=cfg))
    write(MODEL / "processors.jsonl.gz", lines)


def embeddings():
    """A folder as open_clip writes it, and its embeddings as open_clip computes them from files."""
    folder, shown = EMBED / "model", ["wide.png", "tall.png", "small.png", "transparent.png", "palette.png"]
    folder.mkdir(parents=True, exist_ok=True)
    model_cfg = dict(
        embed_dim=16, quick_gelu=True,
        vision_cfg=dict(image_size=32, layers=1, width=24, head_width=8, patch_size=8),
        text_cfg=dict(context_length=8, vocab_size=64, width=16, heads=2, layers=1))
    torch.manual_seed(0)
    model = open_clip.CLIP(**model_cfg)
    with torch.no_grad():
        # So that a token differs from the next, and one image from another.
        model.visual.proj.normal_(std=0.5)
        model.visual.conv1.weight.normal_(std=0.2)
    cfg = dict(size=32, mode="RGB", mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear", resize_mode="squash",
               fill_color=0)
    open_clip.model.set_model_preprocess_cfg(model, cfg)
    save_config_for_hf(model, folder / "open_clip_config.json", model_cfg)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()},
              folder / "open_clip_model.safetensors", metadata={"format": "pt"})

    def embed(**flags):
        made, _, evaluation = open_clip.create_model_and_transforms(f"local-dir:{folder}", **flags)
        made.eval()
        files = dict(images())
        batch = torch.stack([evaluation(Image.open(io.BytesIO(files[name]))) for name in shown])
        with torch.no_grad():
            return made.encode_image(batch, normalize=True).double().numpy()

    own = embed()
    flagged = dict(image_mean=(0.4, 0.5, 0.6), image_std=(0.2, 0.25, 0.3), image_interpolation="bicubic",
                   image_resize_mode="longest")
    others = {"flags": embed(**flagged)}
    wrong = {
        "the default": embed(image_mean=OPENAI["mean"], image_std=OPENAI["std"], image_interpolation="bicubic",
                             image_resize_mode="shortest"),
        "the other kernel": embed(image_interpolation="bicubic"),
        "the centre cut out": embed(image_resize_mode="shortest"),
        "the default's mean": embed(image_mean=OPENAI["mean"], image_std=OPENAI["std"]),
    }
    wrong_by = {name: float(abs(own - found).max()) for name, found in wrong.items()}
    assert min(wrong_by.values()) > 1e-3, wrong_by
    files = dict(images())
    with open(EMBED / "embeddings.json", "w") as file:
        json.dump(dict(images={name: text(files[name]) for name in shown}, embeddings=own.tolist(), flags=flagged,
                       flagged=others["flags"].tolist(), wrong_by=wrong_by), file)
        file.write("\n")


for make in (pixels, normalised, processors, embeddings):
    make()
for folder in (PIXELS, MODEL, EMBED):
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(path, path.stat().st_size)
