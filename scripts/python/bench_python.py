"""Batches a second of clip_data, webdataset and mosaicml-streaming; see scripts/bench_python."""

import argparse
import glob
import io
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--photos", required=True, help="the example photo_shards")
parser.add_argument("--wheel", required=True)
parser.add_argument("--work", required=True)
parser.add_argument("--jpegs", help="a folder of shards with jpg and txt [default: made, of 640 x 480 pixels]")
parser.add_argument("--side", type=int, default=224)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--steps", type=int, default=40)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--only", nargs="+", choices=["batches", "install"], default=["batches", "install"])
parser.add_argument("--child", choices=["clip_data", "webdataset", "mosaic"], help="measures one, and prints its rate")
args = parser.parse_args()
CORES = len(os.sched_getaffinity(0))


def shards():
    if args.jpegs:
        return args.jpegs
    folder = os.path.join(args.work, "photos")
    if not os.path.isdir(folder):
        shutil.rmtree(folder + ".part", ignore_errors=True)
        subprocess.run([args.photos, folder + ".part", "40", "64"], check=True)
        os.rename(folder + ".part", folder)
    return folder


def clip_data_loader():
    import clip_data

    dataset = clip_data.Dataset(shards(), global_batch_size=args.batch, image_size=args.side, epochs=10_000)
    loader = clip_data.DataLoader(dataset)
    while True:
        yield from loader


def peer_loader(samples):
    """A DataLoader of a worker for each processor, with open_clip's transforms."""
    import open_clip
    import torch

    transform = open_clip.transform.image_transform(args.side, is_train=True)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")

    def pair(image, text):
        return transform(image), tokenizer(text)[0]

    dataset = samples(pair)
    torch.set_num_threads(1)
    return iter(torch.utils.data.DataLoader(dataset, batch_size=args.batch, num_workers=CORES))


def webdataset(pair):
    import webdataset as wds

    tars = sorted(glob.glob(os.path.join(shards(), "*.tar")))
    return wds.DataPipeline(
        wds.ResampledShards(tars), wds.tarfile_to_samples(), wds.shuffle(1000, initial=200), wds.decode("pilrgb"),
        wds.to_tuple("jpg", "txt"), wds.map(lambda sample: pair(*sample)),
    )  # fmt: skip


def mosaic(pair):
    import webdataset as wds
    from PIL import Image
    from streaming import MDSWriter, StreamingDataset

    folder = os.path.join(args.work, "mds")
    if not os.path.isdir(folder):
        tars = sorted(glob.glob(os.path.join(shards(), "*.tar")))
        with MDSWriter(out=folder + ".part", columns={"jpg": "bytes", "txt": "str"}) as writer:
            for sample in wds.DataPipeline(wds.SimpleShardList(tars), wds.tarfile_to_samples()):
                writer.write({"jpg": sample["jpg"], "txt": sample["txt"].decode()})
        os.rename(folder + ".part", folder)

    class Pairs(StreamingDataset):
        def __getitem__(self, at):
            sample = super().__getitem__(at)
            return pair(Image.open(io.BytesIO(sample["jpg"])).convert("RGB"), sample["txt"])

    return Pairs(local=folder, shuffle=True, shuffle_seed=0, batch_size=args.batch, epoch_size=1_000_000)


def child():
    """Batches a second after the first ones, which wait for the start."""
    loaders = {"webdataset": webdataset, "mosaic": mosaic}
    batches = clip_data_loader() if args.child == "clip_data" else peer_loader(loaders[args.child])
    for _ in range(2 * CORES + 2):
        images, texts = next(batches)
    assert tuple(images.shape) == (args.batch, 3, args.side, args.side) and tuple(texts.shape) == (args.batch, 77)
    begun = time.perf_counter()
    for _ in range(args.steps):
        next(batches)
    print(args.steps / (time.perf_counter() - begun), flush=True)
    # Workers that are ahead need not be waited for; they would keep the pipe open.
    for worker in multiprocessing.active_children():
        worker.kill()
    os._exit(0)


def batches():
    shards()
    rates = {"clip_data": [], "webdataset": [], "mosaic": []}
    for _ in range(args.rounds):
        for name, found in rates.items():
            done = subprocess.run([sys.executable, *sys.argv, "--child", name], capture_output=True, text=True)
            if not done.stdout:
                sys.exit(done.stderr[-3000:])
            found.append(float(done.stdout.split()[-1]))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["clip_data"], rates[name])]
        print(
            f"{name}: {rate:.2f} batches of {args.batch} a second on {CORES} processors; clip_data "
            f"{medians['clip_data'] / rate:.2f}x, in rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)}; "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


FIRST = """
import sys, numpy, clip_data
rows = clip_data._native.Stream(
    [(sys.argv[1], 1.0)], global_batch_size=64, seed=0, epochs=1, train_num_samples=None, image_size=224,
    context_length=77, augment="rrc(0.9,1)", preprocess="{}", caption_keys="", weight_column=None, shuffle_window=8,
    dataset_resampled=False, cache=None, counts=None,
)
images, texts, count, wrong = rows.batches(0, 1, 1, (0, 1), 2, True).next()
print(numpy.frombuffer(images, numpy.float32).reshape(count, 3, 224, 224).mean())
"""


def install():
    """From pip install to the first decoded batch, without torch, in an environment and a home of their own."""
    shards()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["python3", "-m", "venv", f"{folder}/venv"], check=True)
        clean = {"HOME": folder, "PATH": "/usr/bin:/bin"}
        begun = time.perf_counter()
        pip = [f"{folder}/venv/bin/pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", args.wheel]
        subprocess.run(pip, check=True, env=clean)
        subprocess.run([f"{folder}/venv/bin/python", "-c", FIRST, shards()], check=True, env=clean, cwd=folder)
        took = time.perf_counter() - begun
    print(f"from pip install to the first decoded batch: {took:.1f} s; load {os.getloadavg()[0]:.1f}")


if args.child:
    child()
for name in args.only:
    {"batches": batches, "install": install}[name]()
