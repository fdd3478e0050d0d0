# Scores of pairs by a CLIP: cosines, zero-shot probabilities, and heads in the shape of LAION's.
# requires: @clip
import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from made_weights import weight

OUT = Path("crates/clip-embed/tests/golden/oracle/scores.json")
CONFIG = dict(embed_dim=24, quick_gelu=True,
              vision_cfg=dict(image_size=32, layers=2, width=48, head_width=16, patch_size=8),
              text_cfg=dict(context_length=77, vocab_size=49408, width=32, heads=2, layers=2))
CAPTIONS = [["a red boat on the water", "boat"], ["two dogs & a cat, playing in the snow; one of them jumps"],
            ["the quick brown fox " * 30], ["naïve café", "", "一隻貓"]]
CLASSES = {"animal": ["a photo of a dog.", "a photo of a cat.", "an animal"], "boat": ["a boat on the water"],
           "other": ["something else", "a chair"]}
HEADS = {"aesthetic": ([24, 32, 16, 1], "none"), "nsfw": ([24, 20, 8, 1], "relu")}


def texture(seed):
    y, x, c = np.meshgrid(np.arange(40 + seed), np.arange(52 - seed), np.arange(3), indexing="ij")
    return np.clip((y // 5 * 7 + x // 4 * 11 + c * 5 + seed * 37) % 13 * 16 + (y * (3 + c) + x * (5 + seed)) % 32, 0, 255).astype(np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def head(name, sides, activation):
    layers = []
    for at, (i, o) in enumerate(zip(sides, sides[1:])):
        linear = torch.nn.Linear(i, o)
        for part, tensor in linear.named_parameters():
            key = f"{name}.layers.{2 * at}.{part}"
            tensor.data.copy_(torch.from_numpy(weight(key, tuple(tensor.shape))).float())
        layers += [linear] + ([torch.nn.ReLU()] if activation == "relu" and at < len(sides) - 2 else [])
    return torch.nn.Sequential(*layers, *([torch.nn.Sigmoid()] if activation == "relu" else []))


model = CLIP(**CONFIG).eval()
for key, tensor in model.state_dict().items():
    tensor.copy_(torch.from_numpy(np.asarray(weight(key, tuple(tensor.shape)))).to(tensor.dtype))
transform = image_transform_v2(PreprocessCfg(size=32), is_train=False)
tokenizer = open_clip.SimpleTokenizer(context_length=77)
images = [png(texture(seed)) for seed in range(len(CAPTIONS))]
with torch.no_grad():
    pixels = torch.stack([transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in images])
    embeddings = model.encode_image(pixels, normalize=True)
    cosines = [(model.encode_text(tokenizer(own), normalize=True) @ row).tolist() for own, row in zip(CAPTIONS, embeddings)]
    prompts = [model.encode_text(tokenizer(list(own)), normalize=True) for own in CLASSES.values()]
    means = torch.stack([own.mean(0) for own in prompts])
    classes = means / means.norm(dim=1, keepdim=True)
    scale = model.logit_scale.exp()
    probabilities = (scale * embeddings @ classes.T).softmax(1)
    heads = {name: head(name, *how)(embeddings).flatten().tolist() for name, how in HEADS.items()}
    # The likeliest mistakes: means that are not of length 1, and tokens that are cut without the end token.
    wrong = float(((scale * embeddings @ means.T).softmax(1) - probabilities).abs().max())
    raw = model.encode_image(pixels)
    raw_heads = max(float((head(name, *how)(raw).flatten() - torch.tensor(heads[name])).abs().max()) for name, how in HEADS.items())
    unnormalised = float(max(abs(a - b) for own, row, all in zip(CAPTIONS, raw, cosines)
                             for a, b in zip((model.encode_text(tokenizer(own)) @ row).tolist(), all)))
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({
    "config": CONFIG, "images": [base64.b64encode(data).decode() for data in images], "captions": CAPTIONS,
    "cosines": cosines, "classes": list(CLASSES.items()), "probabilities": probabilities.tolist(),
    "head_shapes": {name: sides for name, (sides, _) in HEADS.items()}, "heads": heads,
    "wrong_by": {"cosines": unnormalised, "probabilities": wrong, "heads": raw_heads},
}, ensure_ascii=False, indent=1) + "\n")
