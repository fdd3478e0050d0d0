from collections.abc import Sequence
from os import PathLike
from typing import Any

__version__: str

class Stream:
    digest: str
    pairs: int
    shards: int
    steps: int
    def __init__(
        self,
        shards: Sequence[tuple[str, float]],
        *,
        global_batch_size: int,
        seed: int,
        epochs: int,
        train_num_samples: int | None,
        image_size: int,
        context_length: int,
        augment: str,
        preprocess: str,
        caption_keys: str,
        weight_column: str | None,
        shuffle_window: int | None,
        dataset_resampled: bool,
        cache: tuple[str, int] | None,
        counts: str | None,
    ) -> None: ...
    def epoch(self, step: int) -> int: ...
    def first_step(self, epoch: int) -> int: ...
    def batches(
        self, first: int, end: int, stride: int, share: tuple[int, int], threads: int, normalize: bool
    ) -> Batches: ...

class Batches:
    def next(self) -> tuple[Images, bytearray, int, list[str]] | None: ...

class Images:
    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class Rows:
    column_names: list[str]
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

_Image = bytes | bytearray | str | PathLike[str]

def hash(images: Sequence[_Image], kind: str, compat: str, fast: bool) -> list[str]: ...
def transform(images: Sequence[_Image], size: int, preprocess: str, normalize: bool) -> bytearray: ...
def tokenize(texts: Sequence[str], context: int) -> bytearray: ...
def read_run(run: str | PathLike[str], stage: str | None, rejects: bool) -> Rows: ...
def read_shards(shards: Sequence[str], images: bool) -> Rows: ...
def contamination(
    corpus: Sequence[str],
    sets: Sequence[tuple[str, str]],
    out: str | PathLike[str],
    threshold: float | None,
    thorough: bool,
    index: str | PathLike[str] | None,
) -> str: ...
