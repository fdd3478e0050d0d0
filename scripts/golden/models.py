"""Golden values of open_clip 3.3.0 for clip-model's tests: key sets of the nine models, forward and backward of
tiny ones, interpolated positions, and checkpoints in the formats that exist.

Run by scripts/golden/clip, which makes the environment. Weights and inputs are a formula of their names, so
that only results are stored.
"""
import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss
from open_clip.model import CLIP, resize_pos_embed, resize_text_pos_embed

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from made_weights import noise, weight

OUT = Path(sys.argv[1])
NINE = "RN50 RN101 RN50x4 RN50x16 RN50x64 ViT-B-32 ViT-B-16 ViT-L-14 ViT-L-14-336".split()
TEXT = dict(context_length=12, vocab_size=64, width=32, heads=2, layers=2)
TINY = {
    "rn": dict(embed_dim=24, quick_gelu=True, text_cfg=TEXT,
               vision_cfg=dict(image_size=64, layers=[2, 1, 1, 1], width=6, head_width=48, patch_size=None)),
    "rn-gelu": dict(embed_dim=16, quick_gelu=False, text_cfg=dict(TEXT, layers=1),
                    vision_cfg=dict(image_size=96, layers=[1, 2, 1, 2], width=4, patch_size=None)),
    "vit": dict(embed_dim=24, quick_gelu=True, text_cfg=TEXT,
                vision_cfg=dict(image_size=32, layers=2, width=48, head_width=16, patch_size=8)),
    "vit-gelu": dict(embed_dim=16, quick_gelu=False, text_cfg=dict(TEXT, mlp_ratio=2.5, heads=4),
                     vision_cfg=dict(image_size=30, layers=3, width=40, head_width=20, patch_size=8, mlp_ratio=3.3)),
}


def fill(model):
    state = model.state_dict()
    for name, tensor in state.items():
        tensor.copy_(torch.from_numpy(np.asarray(weight(name, tuple(tensor.shape)))).to(tensor.dtype))
    return model


def batch(size, text, count=4):
    images = torch.from_numpy(noise("images", (count, 3, size, size)) * 4).float()
    tokens = torch.zeros(count, text["context_length"], dtype=torch.long)
    for row in range(count):
        words = noise(f"text {row}", (3 + row,))
        tokens[row, 0] = text["vocab_size"] - 2
        for at, u in enumerate(words):
            tokens[row, at + 1] = int((u + 0.5) * (text["vocab_size"] - 3))
        tokens[row, len(words) + 1] = text["vocab_size"] - 1
    return images, tokens


def floats(tensor):
    return [float(f"{x:.9g}") for x in tensor.detach().double().flatten().tolist()]


def tiny(config):
    model = fill(CLIP(**config, output_dict=True))
    images, tokens = batch(config["vision_cfg"]["image_size"], config["text_cfg"])
    result = {"config": config}
    for mode in ("eval", "train"):
        model.train(mode == "train")
        model.zero_grad()
        out = model(images, tokens)
        image, text, scale = out["image_features"], out["text_features"], out["logit_scale"]
        loss = ClipLoss()(image, text, scale)
        loss.backward()
        grads = {}
        for name, p in model.named_parameters():
            direction = torch.from_numpy(noise("d " + name, tuple(p.shape)))
            grads[name] = [float(p.grad.double().norm()), float((p.grad.double() * direction).sum())]
        result[mode] = dict(image=floats(image), text=floats(text), logits=floats(scale * image @ text.T),
                            loss=float(loss.detach().double()), gradients=grads)
    buffers = {n: floats(b) for n, b in model.named_buffers() if n.startswith("visual.bn") or "layer4.0.bn3" in n}
    result["buffers"] = buffers
    return result


def keys():
    lines = []
    for name in NINE:
        with torch.device("meta"):
            model = CLIP(**{k: v for k, v in open_clip.get_model_config(name).items()})
        parameters = {n for n, _ in model.named_parameters()}
        lines.append(f"# {name} {sum(p.numel() for p in model.parameters())}")
        for key, tensor in model.state_dict().items():
            lines.append(f"{'p' if key in parameters else 'b'} {key} {list(tensor.shape)}")
    return "\n".join(lines) + "\n"


def positions():
    """The paper's step to another resolution, and another text length."""
    def state():
        return {"visual.positional_embedding": torch.from_numpy(noise("grid", (17, 8))).float(),
                "positional_embedding": torch.from_numpy(noise("text", (12, 8))).float()}

    def model(size, length):
        vision = dict(image_size=size, layers=1, width=8, head_width=8, patch_size=8)
        return CLIP(8, vision, dict(TEXT, width=8, heads=1, layers=1, context_length=length))

    result = {}
    for size, length in ((48, 16), (24, 7)):
        s, m = state(), model(size, length)
        resize_pos_embed(s, m)
        resize_text_pos_embed(s, m)
        result[f"{size}"] = {"image": floats(s["visual.positional_embedding"]), "text": floats(s["positional_embedding"])}
    return result


SMALL = dict(embed_dim=8, quick_gelu=True, text_cfg=dict(context_length=5, vocab_size=16, width=8, heads=1, layers=1),
             vision_cfg=dict(image_size=16, layers=1, width=8, head_width=8, patch_size=8))


def store(name, save):
    """The archive without what names the machine that made it (the sources' paths for debugging)."""
    whole, kept = io.BytesIO(), io.BytesIO()
    save(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as target:
        for info in source.infolist():
            if not info.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(info.filename), source.read(info))
    with gzip.GzipFile(OUT / (name + ".gz"), "wb", mtime=0) as file:
        file.write(kept.getvalue())


def checkpoints():
    """The same weights as open_clip's training checkpoint and as a TorchScript archive in fp16 like OpenAI's."""
    model = fill(CLIP(**SMALL))
    wrapped = {"module._orig_mod." + k: v for k, v in model.state_dict().items()}
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    spared = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}],
                                  lr=1e-3, betas=(0.9, 0.98), eps=1e-6)
    images = torch.from_numpy(noise("images", (2, 3, 16, 16)) * 4).float()
    tokens = torch.tensor([[14, 1, 2, 15, 0], [14, 3, 15, 0, 0]])
    a, b, s = model(images, tokens)
    ClipLoss()(a, b, s).backward()
    optimizer.step()
    fill(model)
    store("epoch_1.pt", lambda file: torch.save({"epoch": 1, "name": "tiny", "state_dict": wrapped, "optimizer": optimizer.state_dict(),
                                                 "scaler": {"scale": 65536.0, "growth_factor": 2.0, "growth_interval": 2000}}, file))

    class OpenAI(torch.nn.Module):
        """The attributes that OpenAI's archives have beside the weights."""

        def __init__(self, clip):
            super().__init__()
            for name in ("visual", "transformer", "token_embedding", "ln_final"):
                setattr(self, name, getattr(clip, name))
            for name in ("positional_embedding", "text_projection", "logit_scale"):
                setattr(self, name, getattr(clip, name))
            for name, value in (("input_resolution", 16), ("context_length", 5), ("vocab_size", 16)):
                self.register_buffer(name, torch.tensor(value))

        def forward(self, images):
            return self.visual(images)

    jit = OpenAI(model).half().eval()
    traced = torch.jit.trace(jit, (images.half(),), check_trace=False)
    store("openai_jit.pt", lambda file: torch.jit.save(traced, file))


def hugging_face():
    """A CLIPModel of transformers, with its configuration and what it makes of images and texts."""
    from safetensors.torch import save
    from transformers import CLIPConfig, CLIPModel

    shared = dict(hidden_size=8, intermediate_size=32, num_attention_heads=1, num_hidden_layers=2)
    text = dict(shared, vocab_size=16, max_position_embeddings=5, bos_token_id=14, eos_token_id=15, hidden_act="quick_gelu")
    vision = dict(shared, image_size=16, patch_size=8, num_attention_heads=2, hidden_act="quick_gelu")
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    model = fill(CLIPModel(config).eval())
    images = torch.from_numpy(noise("images", (2, 3, 16, 16)) * 4).float()
    tokens = torch.tensor([[14, 1, 2, 15, 0], [14, 3, 15, 0, 0]])
    out = model(input_ids=tokens, pixel_values=images)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    with gzip.GzipFile(OUT / "hf.safetensors.gz", "wb", mtime=0) as file:
        file.write(save(state, metadata={"format": "pt"}))
    golden = {"config": config.to_dict(), "logits": floats(out.logits_per_image), "image": floats(out.image_embeds)}
    (OUT / "hf.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(OUT / "keys.txt.gz", "wb", mtime=0) as file:
        file.write(keys().encode())
    with gzip.GzipFile(OUT / "tiny.json.gz", "wb", mtime=0) as file:
        file.write(json.dumps({name: tiny(c) for name, c in TINY.items()}, separators=(",", ":")).encode())
    (OUT / "positions.json").write_text(json.dumps(positions(), separators=(",", ":")) + "\n")
    checkpoints()
    hugging_face()
