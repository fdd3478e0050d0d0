# Losses of a small model trained by Lion, by Muon beside AdamW, and by AdamW with layer-wise learning rates.
# requires: @clip
import json
import os
import sys
from pathlib import Path

import numpy as np
import open_clip
import timm
import torch
from open_clip.loss import ClipLoss
from open_clip_train.scheduler import cosine_lr
from timm.optim import Lion

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from small_training import CONFIG, batch  # noqa: E402

torch.set_num_threads(1)
FOLDER = "crates/clip-train/tests/golden/oracle/optimizers"
# The weights to begin with, and the batches, are those of resume.py.
START = "crates/clip-train/tests/golden/oracle/resume/contrastive.pt"
STEPS = 30
LR, WARMUP, DECAY, BETAS, EPS = 1e-3, 5, 0.2, (0.9, 0.98), 1e-6
LAYER_DECAY = 0.5
assert timm.__version__ == "1.0.31", timm.__version__


def decay_of(name, parameter):
    """open_clip_train.main's rule."""
    spared = parameter.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name
    return 0.0 if spared else DECAY


def layer(name):
    """BEiT's and EVA-CLIP's number of a parameter's layer, of towers of one block: 0 to 2."""
    name = name.removeprefix("visual.")
    if name in ("class_embedding", "positional_embedding", "token_embedding.weight") or name.startswith(("conv1", "ln_pre")):
        return 0
    if "resblocks." in name:
        return int(name.split("resblocks.")[1].split(".")[0]) + 1
    return 2


def is_matrix(name, parameter):
    return "resblocks." in name and parameter.ndim == 2


def lion(named, betas=(0.9, 0.99)):
    groups = [{"params": [p], "weight_decay": decay_of(n, p)} for n, p in named]
    return [Lion(groups, lr=LR, betas=betas)]


def muon(named, adjust="match_rms_adamw"):
    rest = [{"params": [p], "weight_decay": decay_of(n, p)} for n, p in named if not is_matrix(n, p)]
    matrices = [p for n, p in named if is_matrix(n, p)]
    return [
        torch.optim.AdamW(rest, lr=LR, betas=BETAS, eps=EPS),
        torch.optim.Muon(matrices, lr=LR, weight_decay=DECAY, momentum=0.95, adjust_lr_fn=adjust),
    ]


def layers(named, decay=LAYER_DECAY):
    groups = [
        {"params": [p], "weight_decay": decay_of(n, p), "lr_scale": decay ** (2 - layer(n))} for n, p in named
    ]
    return [torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS)]


def train(optimizers_of, **options):
    model = open_clip.CLIP(**CONFIG, output_dict=True).train()
    model.load_state_dict(torch.load(START, weights_only=True)["state_dict"])
    optimizers = optimizers_of(list(model.named_parameters()), **options)
    schedules = [cosine_lr(optimizer, LR, WARMUP, STEPS) for optimizer in optimizers]
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    losses = []
    for step in range(STEPS):
        for schedule, optimizer in zip(schedules, optimizers):
            schedule(step)
            for group in optimizer.param_groups:
                # As timm's schedulers do.
                group["lr"] *= group.get("lr_scale", 1.0)
        model.zero_grad()
        images, texts = batch(step)
        loss = ClipLoss()(**model((images.permute(0, 3, 1, 2).float() / 255 - mean) / std, texts))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        losses.append(loss.item())
    return losses


os.makedirs(FOLDER, exist_ok=True)
found = {"config": CONFIG}
for name, versions, optimizers_of, wrong, options in [
    ("lion", f"timm {timm.__version__}", lion, "the betas changed places", dict(betas=(0.99, 0.9))),
    ("muon", f"torch {torch.__version__.split('+')[0]}", muon, "steps as long as Jordan's", dict(adjust="original")),
    ("layers", f"torch {torch.__version__.split('+')[0]}", layers, "one rate for all layers", dict(decay=1.0)),
]:
    losses, other = train(optimizers_of), train(optimizers_of, **options)
    wrong_by = max(abs(a - b) for a, b in zip(losses, other))
    assert wrong_by > 1e-3, (name, wrong_by)
    found[name] = {"versions": versions, "losses": losses, "wrong": wrong, "wrong_by": wrong_by}
with open(f"{FOLDER}/losses.json", "w") as file:
    json.dump(found, file, indent=1)
    file.write("\n")
