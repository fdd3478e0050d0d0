# open_clip's epoch_1.pt of a small model, contrastive and SigLIP, and its losses of the 20 steps after it.
# requires: @clip
import json
import os
import sys
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from open_clip_train.scheduler import cosine_lr

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from small_training import CONFIG, batch  # noqa: E402

torch.set_num_threads(1)
FOLDER = "crates/clip-train/tests/golden/oracle/resume"
STEPS = 40
LR, WARMUP, DECAY, BETAS, EPS = 1e-3, 5, 0.2, (0.9, 0.98), 1e-6


def optimizer_of(model):
    """open_clip_train.main's groups."""
    exclude = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n
    named = list(model.named_parameters())
    return torch.optim.AdamW(
        [
            {"params": [p for n, p in named if exclude(n, p)], "weight_decay": 0.0},
            {"params": [p for n, p in named if not exclude(n, p)], "weight_decay": DECAY},
        ],
        lr=LR,
        betas=BETAS,
        eps=EPS,
    )


def train(model, optimizer, loss_of, first, last):
    schedule = cosine_lr(optimizer, LR, WARMUP, STEPS)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    losses = []
    for step in range(first, last):
        schedule(step)
        optimizer.zero_grad()
        images, texts = batch(step)
        loss = loss_of(**model((images.permute(0, 3, 1, 2).float() / 255 - mean) / std, texts))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        losses.append(loss.item())
    return losses


os.makedirs(FOLDER, exist_ok=True)
found = {"config": CONFIG, "versions": f"open_clip {open_clip.__version__}"}
for name, loss_of, extra in [
    ("contrastive", ClipLoss(), {}),
    ("sigmoid", SigLipLoss(), dict(init_logit_scale=np.log(10), init_logit_bias=-10)),
]:
    torch.manual_seed(0)
    model = open_clip.CLIP(**CONFIG, **extra, output_dict=True).train()
    optimizer = optimizer_of(model)
    train(model, optimizer, loss_of, 0, STEPS // 2)
    # What open_clip_train.main saves after an epoch.
    state = {key: value.clone() for key, value in model.state_dict().items()}
    torch.save({"epoch": 1, "name": "run", "state_dict": state, "optimizer": optimizer.state_dict()}, f"{FOLDER}/{name}.pt")
    losses = train(model, optimizer, loss_of, STEPS // 2, STEPS)
    # The likeliest mistake: the weights are taken over, and the optimizer's moments are not.
    model.load_state_dict(state)
    without = train(model, optimizer_of(model), loss_of, STEPS // 2, STEPS)
    wrong_by = max(abs(a - b) for a, b in zip(losses, without))
    assert wrong_by > 1e-3, wrong_by
    found[name] = {"losses": losses, "wrong_by": wrong_by}
with open(f"{FOLDER}/losses.json", "w") as file:
    json.dump(found, file, indent=1)
