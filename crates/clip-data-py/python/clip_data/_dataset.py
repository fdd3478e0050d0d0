"""Streamed batches for torch."""

import hashlib
import json
import os
import tempfile
import warnings

import torch
import torch.utils.data

from . import _native
from ._error import Error

_VERSION = 1
_FAULTS = 10


def _process_group(rank, world_size):
    """Rank and number of processes: as given, of torch.distributed, or of a process alone."""
    if (rank is None) != (world_size is None):
        raise Error("rank and world_size are given together")
    if rank is None and torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return (0, 1) if rank is None else (rank, world_size)


def _cache_folder(name):
    folder = os.environ.get("CLIP_DATA_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "clip-data"
    )
    return os.path.join(folder, name)


def _kept_counts(shards, weight_column):
    """The file that keeps how many samples each shard has; none where it cannot be written."""
    folder = _cache_folder("counts")
    name = hashlib.sha256(json.dumps([os.path.abspath("."), shards, weight_column]).encode()).hexdigest()[:32]
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return os.path.join(folder, f"{name}.jsonl")
    except OSError:
        return None


class Dataset(torch.utils.data.IterableDataset):
    """Batches `(images, texts)` of shards, in an order that is a function of seed and step alone.

    An iteration gives what is left of an epoch, the next one the epoch after it. Iterate through
    `clip_data.DataLoader`, which keeps the place for any number of workers. The order is the same on any number of
    processes and workers: what was begun on eight resumes on two.
    """

    def __init__(
        self,
        shards,
        *,
        global_batch_size,
        seed=0,
        epochs=32,
        train_num_samples=None,
        image_size=224,
        context_length=77,
        augment="rrc(0.9,1)",
        preprocess=None,
        normalize=True,
        caption_keys="",
        weight_column=None,
        upsampling_factors=None,
        shuffle_window=None,
        dataset_resampled=False,
        cache_dir=None,
        cache_limit=200.0,
        rank=None,
        world_size=None,
        threads=None,
    ):
        super().__init__()
        shards = [shards] if isinstance(shards, (str, os.PathLike)) else list(shards)
        shards = [os.fspath(spec) for spec in shards]
        factors = [1.0] * len(shards) if upsampling_factors is None else [float(f) for f in upsampling_factors]
        if len(factors) != len(shards):
            raise Error(f"upsampling_factors: {len(factors)} for {len(shards)} sources")
        remote = any("://" in spec for spec in shards)
        if cache_dir is None:
            cache_dir = _cache_folder("shards")
        self._settings = {
            "shards": list(zip(shards, factors)),
            "global_batch_size": global_batch_size,
            "seed": seed,
            "epochs": epochs,
            "train_num_samples": train_num_samples,
            "image_size": image_size,
            "context_length": context_length,
            "augment": augment,
            "preprocess": json.dumps(preprocess or {}),
            "caption_keys": caption_keys,
            "weight_column": weight_column,
            "shuffle_window": shuffle_window,
            "dataset_resampled": dataset_resampled,
            "cache": (os.fspath(cache_dir), int(cache_limit * 1e9)) if remote else None,
            "counts": _kept_counts(shards, weight_column),
        }
        self._remote = remote
        self._normalize = normalize
        self._threads = threads
        self.rank, self.world_size = _process_group(rank, world_size)
        if not 0 <= self.rank < self.world_size:
            raise Error(f"rank {self.rank} of {self.world_size} processes: 0 is the first")
        if global_batch_size % self.world_size:
            raise Error(f"a batch of {global_batch_size} cannot be shared by {self.world_size} processes")
        self._step = 0
        self._stream = None
        self._managed = False

    def __getstate__(self):
        return {**self.__dict__, "_stream": None}

    @property
    def stream(self):
        """The shards, opened once in each process."""
        if self._stream is None or self._stream[0] != os.getpid():
            if self._stream is not None and self._remote:
                # The connections of the process before the fork are not there.
                raise Error("remote shards in a forked worker\nhint: multiprocessing_context=\"spawn\"")
            self._stream = (os.getpid(), _native.Stream(**self._settings))
        return self._stream[1]

    @property
    def pairs(self):
        """Pairs in the shards."""
        return self.stream.pairs

    @property
    def epoch(self):
        """The epoch of the next batch, from 0; behind the last one, how many there are."""
        stream = self.stream
        return stream.epoch(self._step) if self._step < stream.steps else self._settings["epochs"]

    def set_epoch(self, epoch):
        """Goes to the start of an epoch, from 0."""
        if not 0 <= epoch <= self._settings["epochs"]:
            raise Error(f"epoch {epoch} of {self._settings['epochs']}")
        self._step = self.stream.first_step(epoch)

    def __len__(self):
        """Batches of the epoch that the next batch is in."""
        epoch = self.stream.epoch(min(self._step, self.stream.steps - 1))
        return self.stream.first_step(epoch + 1) - self.stream.first_step(epoch)

    def state_dict(self):
        """The place behind the last batch that was given, in samples of all processes."""
        size = self._settings["global_batch_size"]
        return {"version": _VERSION, "samples": self._step * size, **self._identity()}

    def load_state_dict(self, state):
        """Goes to the place of `state`, which may be of another number of processes and workers."""
        if state.get("version") != _VERSION:
            raise Error(f"a state of version {state.get('version')}: {_VERSION} is known")
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise Error(
                    f"the state is of another {name}: {state.get(name)}, and here it is {value}\n"
                    "hint: give the settings of the first start"
                )
        self._step = state["samples"] // self._settings["global_batch_size"]

    def _identity(self):
        names = ("seed", "global_batch_size", "train_num_samples", "image_size", "augment")
        return {"corpus": self.stream.digest, **{name: self._settings[name] for name in names}}

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        if worker is not None and not self._managed:
            warnings.warn("every epoch is this one: workers need clip_data.DataLoader, or set_epoch", stacklevel=2)
        stream, first = self.stream, self._step
        if first >= stream.steps:
            epochs = self._settings["epochs"]
            raise Error(f"all {epochs} epochs are done\nhint: more epochs, or set_epoch(0)")
        end = stream.first_step(stream.epoch(first) + 1)
        threads = self._threads or max(1, len(os.sched_getaffinity(0)) // workers)
        share = (self.rank, self.world_size)
        batches = stream.batches(first + number, end, workers, share, threads, self._normalize)
        context = self._settings["context_length"]
        step, faults = first + number, 0
        while (batch := batches.next()) is not None:
            images, texts, rows, wrong = batch
            for fault in wrong:
                faults += 1
                if faults <= _FAULTS:
                    warnings.warn(f"{fault}; another pair takes its place", stacklevel=2)
            images = torch.from_dlpack(images)
            texts = torch.frombuffer(texts, dtype=torch.int64).view(rows, context)
            step += workers
            self._step = min(step, end)
            yield images, texts
        if faults > _FAULTS:
            warnings.warn(f"{faults} images could not be read", stacklevel=2)


class DataLoader(torch.utils.data.DataLoader):
    """torch's DataLoader over a `Dataset`, in this process or in workers; its state is exact to the sample."""

    def __init__(self, dataset, num_workers=0, **options):
        for name in ("batch_size", "shuffle", "sampler", "batch_sampler", "drop_last"):
            if name in options:
                raise Error(f"{name} is the dataset's\nhint: Dataset(global_batch_size=…, seed=…)")
        if options.get("persistent_workers"):
            raise Error("persistent_workers: workers begin each epoch anew, at its place")
        super().__init__(dataset, batch_size=None, num_workers=num_workers, **options)

    def __iter__(self):
        dataset = self.dataset
        step, dataset._managed = dataset._step, True
        for batch in super().__iter__():
            step += 1
            dataset._step = step
            yield batch

    @property
    def epoch(self):
        """See `Dataset.epoch`."""
        return self.dataset.epoch

    def state_dict(self):
        """See `Dataset.state_dict`: behind the last batch that this loader gave."""
        return self.dataset.state_dict()

    def load_state_dict(self, state):
        """See `Dataset.load_state_dict`."""
        self.dataset.load_state_dict(state)
