"""Samples a second of one core that open_clip's webdataset pipeline gives: SHARDS SIDE BATCH STEPS."""

import resource
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
usage = lambda: sum(
    getattr(resource.getrusage(who), field)
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    for field in ("ru_utime", "ru_stime")
)
samples, before = 0, usage()
iterator = iter(data.dataloader)
for _ in range(steps):
    samples += len(next(iterator)[0])
del iterator
print(samples / (usage() - before))
