#!/usr/bin/env python3
"""DataComp's own filters, on the processor and without the network.

    datacomp_filter.py DATACOMP POOL MODEL WORDNET OUT NAME [--fraction F] [--threshold T] [--arch A]

DATACOMP is its repository at commit 4a8df19, POOL a folder of filter_pool.py, MODEL fastText's, WORDNET Debian's
folder. What the code downloads comes from these; what it sends to a GPU stays here. Its rules are untouched.
"""
import argparse
import pathlib
import sys
import tempfile

import numpy as np

sys.path.insert(0, sys.argv[1])
import nltk  # noqa: E402
import torch  # noqa: E402

import baselines.apply_filter as filters  # noqa: E402

POOL, MODEL, WORDNET = map(pathlib.Path, sys.argv[2:5])
LEXNAMES = "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body " \
    "noun.cognition noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive " \
    "noun.object noun.person noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation " \
    "noun.shape noun.state noun.substance noun.time verb.body verb.change verb.cognition verb.communication " \
    "verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception " \
    "verb.possession verb.social verb.stative verb.weather adj.ppl"


def download(name, root=None):
    """The file here for what DataComp would download."""
    if name == "fasttext":
        return str(MODEL)
    if name == "imagenet21k_wordnet_ids":
        return str(POOL / "synsets.txt")
    if name == "small_centroids":
        return ("centroids", str(POOL / "centroids.npy"))
    return ("targets", str(POOL / "targets.npy"), int(name[-1]))


def load(path, *args, **kwargs):
    """torch.load of the centroids (a NumPy array) and of a fifth of the target embeddings."""
    if path[0] == "centroids":
        return np.load(path[1])
    return {"image_features": torch.from_numpy(np.load(path[1])[path[2]::5])}


# These run in DataComp's worker processes as well: they import this file.
filters.download = download
torch.load = load
to = torch.Tensor.to
torch.Tensor.to = lambda self, device, *args, **kwargs: to(
    self, "cpu" if str(device).startswith("cuda") else device, *args, **kwargs)
folder = pathlib.Path(tempfile.gettempdir()) / "datacomp-nltk"
nltk.data.path.insert(0, str(folder))
nltk.download = lambda name: True


def wordnet():
    """NLTK's layout of WordNet."""
    inner = folder / "corpora" / "wordnet"
    inner.mkdir(parents=True, exist_ok=True)
    for file in WORDNET.iterdir():
        if file.is_file() and not (inner / file.name).exists():
            (inner / file.name).symlink_to(file)
    lines = (f"{at:02}\t{name}\t0\n" for at, name in enumerate(LEXNAMES.split()))
    (inner / "lexnames").write_text("".join(lines))


if __name__ == "__main__":
    wordnet()
    parser = argparse.ArgumentParser()
    parser.add_argument("save_path")
    parser.add_argument("name")
    parser.add_argument("--fraction", type=float)
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--arch")
    parser.add_argument("--num_workers", type=int, default=2)
    args = parser.parse_args(sys.argv[5:])
    args.metadata_dir = str(POOL / "metadata")
    # It takes names with ".parquet" in them; the folder has none but tables.
    args.image_based_scale = "small" if "image_based" in args.name else None
    args.num_gpus, args.batch_size = args.num_workers, 1024
    filters.apply_filter(args)
