"""Forward, loss and gradients of open_clip 3.3.0 on randomised weights, against ours (example `parity` of clip-model).

Run by scripts/parity/models.
"""
import argparse
import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import open_clip
import torch
from open_clip.loss import ClipLoss
from safetensors.torch import save_file

arguments = argparse.ArgumentParser()
arguments.add_argument("--ours", required=True, help="the example's executable")
arguments.add_argument("--batch", type=int, default=4)
arguments.add_argument("models", nargs="*", default=["RN50-quickgelu", "ViT-B-32-quickgelu", "ViT-B-32", "RN50x4-quickgelu",
                                                     "ViT-L-14-quickgelu"])
a = arguments.parse_args()


def batch(count, size):
    g = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, size, size, generator=g)
    tokens = torch.zeros(count, 77, dtype=torch.long)
    for row in range(count):
        n = int(torch.randint(3, 20, (1,), generator=g))
        tokens[row, 0], tokens[row, n] = 49406, 49407
        tokens[row, 1:n] = torch.randint(1, 49405, (n - 1,), generator=g)
    return images, tokens


failed = False
for name in a.models:
    torch.manual_seed(0)
    model = open_clip.create_model(name, output_dict=True)
    with torch.no_grad():
        # Whatever begins degenerate would hide half of the graph.
        for key, p in model.named_parameters():
            if p.ndim < 2 and key != "logit_scale":
                p.add_(0.05 * torch.randn_like(p))
            if key.endswith("bn3.weight"):
                p.add_(0.5)
    size = model.visual.image_size
    images, tokens = batch(a.batch, size[0] if isinstance(size, tuple) else size)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        config = open_clip.get_model_config(name)
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
        for mode in ("eval", "train") if name.startswith("RN") else ("eval",):
            model.train(mode == "train")
            model.zero_grad()
            out = model(images, tokens)
            image, text, scale = out["image_features"], out["text_features"], out["logit_scale"]
            loss = ClipLoss()(image, text, scale)
            loss.backward()
            values = {"images": images, "tokens": tokens, "image": image.detach(), "text": text.detach(),
                      "logits": (scale * image @ text.T).detach(), "loss": loss.detach()}
            values |= {"gradient." + k: p.grad for k, p in model.named_parameters()}
            # What both approximate: sums that cancel are rounded by either in its own way.
            exact = copy.deepcopy(model).double()
            exact.zero_grad()
            out = exact(images.double(), tokens)
            ClipLoss()(out["image_features"], out["text_features"], out["logit_scale"]).backward()
            values |= {"exact." + k: p.grad.float() for k, p in exact.named_parameters()}
            del exact, out
            save_file({k: v.contiguous() for k, v in values.items()}, folder / "io.safetensors")
            values = {}
            done = subprocess.run([a.ours, folder, mode], stdout=subprocess.PIPE, text=True)
            print(json.dumps({"model": name, "mode": mode} | json.loads(done.stdout or "{}")), flush=True)
            failed |= done.returncode != 0
sys.exit(failed)
