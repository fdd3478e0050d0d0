"""Samples a second of processor time that webdataset's or mosaicml-streaming's loader gives with open_clip's transforms;
with `decoded`, images that Pillow decodes from memory, and no more.

    stream_peers.py webdataset|mosaic|decoded SHARDS SIDE BATCH STEPS WORK
"""

import glob
import io
import os
import resource
import sys

import open_clip
import torch
from PIL import Image

kind, shards, side, batch, steps, work = *sys.argv[1:3], *map(int, sys.argv[3:6]), sys.argv[6]
torch.set_num_threads(1)
transform = open_clip.transform.image_transform(side, is_train=True)
tokenizer = open_clip.get_tokenizer("ViT-B-32")
tars = sorted(glob.glob(os.path.join(shards, "*.tar")))


def pair(image, text):
    return transform(image), tokenizer(text)[0]


def webdataset():
    import webdataset as wds

    pipeline = wds.DataPipeline(
        wds.ResampledShards(tars), wds.tarfile_to_samples(), wds.shuffle(5000, initial=1000), wds.decode("pilrgb"),
        wds.to_tuple("jpg", "txt"), wds.map(lambda sample: pair(*sample)),
    )  # fmt: skip
    return iter(pipeline)


def mosaic():
    import webdataset as wds
    from streaming import MDSWriter, StreamingDataset

    folder = os.path.join(work, "mds")
    if not os.path.isdir(folder):
        with MDSWriter(out=folder, columns={"jpg": "bytes", "txt": "str"}) as writer:
            for sample in wds.DataPipeline(wds.SimpleShardList(tars), wds.tarfile_to_samples()):
                writer.write({"jpg": sample["jpg"], "txt": sample["txt"].decode()})
    data = StreamingDataset(local=folder, shuffle=True, shuffle_seed=0, batch_size=batch)
    while True:
        for sample in data:
            yield pair(Image.open(io.BytesIO(sample["jpg"])).convert("RGB"), sample["txt"])


def decoded():
    import webdataset as wds

    images = [sample["jpg"] for sample in wds.DataPipeline(wds.SimpleShardList(tars), wds.tarfile_to_samples())]
    while True:
        for image in images:
            Image.open(io.BytesIO(image)).load()
            yield torch.empty(0)


def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


samples = {"webdataset": webdataset, "mosaic": mosaic, "decoded": decoded}[kind]()
torch.utils.data.default_collate([next(samples) for _ in range(batch)])
before = used()
for _ in range(steps):
    torch.utils.data.default_collate([next(samples) for _ in range(batch)])
print(steps * batch / (used() - before))
