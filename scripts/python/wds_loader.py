"""Samples a second of one core that open_clip's webdataset pipeline gives: SHARDS SIDE BATCH STEPS."""

import os
import sys
import types

import open_clip
from open_clip_train.data import get_wds_dataset

shards, side, batch, steps = sys.argv[1], *map(int, sys.argv[2:])
model = open_clip.transform.image_transform(side, is_train=True)
args = types.SimpleNamespace(
    train_data=shards, train_data_upsampling_factors=None, train_num_samples=batch * steps, dataset_resampled=True,
    seed=0, batch_size=batch, workers=1, world_size=1, rank=0, val_data=None, val_num_samples=0, distributed=False,
)  # fmt: skip
data = get_wds_dataset(args, model, True, epoch=0, tokenizer=open_clip.get_tokenizer("ViT-B-32"))


def usage():
    """Processor seconds of this process and of its worker, which lives on when its iterator ends."""
    me = os.getpid()
    workers = [pid for task in os.listdir(f"/proc/{me}/task") for pid in open(f"/proc/{me}/task/{task}/children").read().split()]
    ticks = [int(n) for pid in (me, *workers) for n in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


samples, before = 0, usage()
iterator = iter(data.dataloader)
for _ in range(steps):
    samples += len(next(iterator)[0])
print(samples / (usage() - before))
