"""open_clip's loss trace over two epochs of a small model, its epoch_1.pt, and the second epoch from any epoch_1.pt.

whole FOLDER LOSS          writes tiny.json, init.safetensors, batches.safetensors, settings.json and epoch_1.pt
resume FOLDER LOSS FILE    the second epoch alone, as open_clip_train.main resumes it
"""

import json
import sys

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from open_clip_train.scheduler import cosine_lr
from safetensors.torch import load_file, save_file

what, folder, name = sys.argv[1:4]
torch.set_num_threads(1)
STEPS, BATCH, SIDE, VOCABULARY = 40, 16, 32, 64
settings = dict(lr=1e-3, wd=0.2, warmup=5, beta2=0.98, eps=1e-6, epochs=2, objective="contrastive" if name == "clip" else "sigmoid")

config = dict(
    embed_dim=32,
    quick_gelu=True,
    vision_cfg=dict(image_size=SIDE, layers=3, width=48, patch_size=8, head_width=16),
    text_cfg=dict(context_length=77, vocab_size=VOCABULARY, width=32, heads=2, layers=2),
)
sigmoid = dict(init_logit_scale=np.log(10), init_logit_bias=-10) if name == "siglip" else {}


def model(seed):
    torch.manual_seed(seed)
    made = open_clip.CLIP(**config, **sigmoid, output_dict=True)
    made.train()
    return made


def optimizer_of(model):
    """open_clip_train.main's groups."""
    exclude = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for n, p in named if exclude(n, p)], "weight_decay": 0.0},
            {"params": [p for n, p in named if not exclude(n, p)], "weight_decay": settings["wd"]},
        ],
        lr=settings["lr"],
        betas=(0.9, settings["beta2"]),
        eps=settings["eps"],
    )


def batches():
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (STEPS, BATCH, SIDE, SIDE, 3), generator=draw, dtype=torch.uint8)
    texts = torch.zeros(STEPS, BATCH, 77, dtype=torch.long)
    for row in texts.view(-1, 77):
        length = int(torch.randint(3, 20, (1,), generator=draw))
        row[0], row[length] = VOCABULARY - 2, VOCABULARY - 1
        row[1:length] = torch.randint(1, VOCABULARY - 2, (length - 1,), generator=draw)
    return images, texts


def train(model, optimizer, first, last):
    schedule = cosine_lr(optimizer, settings["lr"], settings["warmup"], STEPS)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    loss_of = ClipLoss() if name == "clip" else SigLipLoss()
    for step in range(first, last):
        schedule(step)
        optimizer.zero_grad()
        pixels = (images[step].permute(0, 3, 1, 2).float() / 255 - mean) / std
        loss = loss_of(**model(pixels, texts[step]))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        print(json.dumps(dict(step=step, lr=optimizer.param_groups[0]["lr"], loss=loss.item())))


if what == "whole":
    images, texts = batches()
    save_file({"image": images.float(), "text": texts}, f"{folder}/batches.safetensors")
    json.dump(config, open(f"{folder}/tiny.json", "w"))
    json.dump(settings, open(f"{folder}/settings.json", "w"))
    clip = model(0)
    save_file({n: v.clone().contiguous() for n, v in clip.state_dict().items()}, f"{folder}/init.safetensors")
    optimizer = optimizer_of(clip)
    train(clip, optimizer, 0, STEPS // 2)
    # What open_clip_train.main saves after an epoch.
    checkpoint = {"epoch": 1, "name": "run", "state_dict": clip.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(checkpoint, f"{folder}/epoch_1.pt")
    train(clip, optimizer, STEPS // 2, STEPS)
else:
    stored = load_file(f"{folder}/batches.safetensors")
    images, texts = stored["image"].to(torch.uint8), stored["text"]
    # Other weights than the run's: all must come from the file. The lines are open_clip_train.main's.
    clip = model(1000)
    optimizer = optimizer_of(clip)
    checkpoint = torch.load(sys.argv[4], map_location="cpu", weights_only=True)
    assert checkpoint["epoch"] == 1
    sd = checkpoint["state_dict"]
    if next(iter(sd.items()))[0].startswith("module"):
        sd = {k[len("module.") :]: v for k, v in sd.items()}
    clip.load_state_dict(sd)
    optimizer.load_state_dict(checkpoint["optimizer"])
    train(clip, optimizer, STEPS // 2, STEPS)
