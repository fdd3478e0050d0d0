"""open_clip's loss trace over random weights and batches: init.safetensors, batches.safetensors, trace.jsonl."""

import argparse
import json
import os

import open_clip
import torch
from open_clip.loss import ClipLoss
from open_clip_train.scheduler import cosine_lr
from safetensors.torch import save_file

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("folder")
parser.add_argument("--steps", type=int, default=16)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--side", type=int, default=224)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--warmup", type=int, default=5)
args = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(args.threads)
model = open_clip.create_model(args.model, output_dict=True, force_image_size=args.side)
model.train()
os.makedirs(args.folder, exist_ok=True)
state = {name: value.clone().contiguous() for name, value in model.state_dict().items()}
save_file(state, f"{args.folder}/init.safetensors")

draw = torch.Generator().manual_seed(1)
shape = (args.steps, args.batch, args.side, args.side, 3)
images = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
texts = torch.zeros(args.steps, args.batch, 77, dtype=torch.long)
for row in texts.view(-1, 77):
    length = int(torch.randint(3, 20, (1,), generator=draw))
    row[0], row[length] = 49406, 49407
    row[1:length] = torch.randint(1, 49405, (length - 1,), generator=draw)
save_file({"image": images.float(), "text": texts}, f"{args.folder}/batches.safetensors")

vit = "vit" in args.model.lower()
settings = dict(lr=5e-4, wd=0.2, warmup=args.warmup, beta2=0.98 if vit else 0.999, eps=1e-6 if vit else 1e-8)
with open(f"{args.folder}/settings.json", "w") as file:
    json.dump(settings, file)

# open_clip_train.main's grouping and its schedule.
spared = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n
named = list(model.named_parameters())
optimizer = torch.optim.AdamW(
    [
        {"params": [p for n, p in named if spared(n, p)], "weight_decay": 0.0},
        {"params": [p for n, p in named if not spared(n, p)], "weight_decay": settings["wd"]},
    ],
    lr=settings["lr"],
    betas=(0.9, settings["beta2"]),
    eps=settings["eps"],
)
schedule = cosine_lr(optimizer, settings["lr"], settings["warmup"], args.steps)
mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
loss_of = ClipLoss()
with open(f"{args.folder}/trace.jsonl", "w") as file:
    for step in range(args.steps):
        schedule(step)
        optimizer.zero_grad()
        pixels = (images[step].permute(0, 3, 1, 2).float() / 255 - mean) / std
        out = model(pixels, texts[step])
        loss = loss_of(out["image_features"], out["text_features"], out["logit_scale"])
        loss.backward()
        norm = torch.stack([p.grad.norm() for _, p in named if p.grad is not None]).norm().item()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.605170185988092)
        lr = optimizer.param_groups[0]["lr"]
        scale = model.logit_scale.exp().item()
        record = dict(step=step, lr=lr, loss=loss.item(), grad_norm=norm, logit_scale=scale)
        file.write(json.dumps(record) + "\n")
