from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import torch
import torch.utils.data

_Path = str | PathLike[str]

class Dataset(torch.utils.data.IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    rank: int
    world_size: int
    def __init__(
        self,
        shards: _Path | Sequence[_Path],
        *,
        global_batch_size: int,
        seed: int = ...,
        epochs: int = ...,
        train_num_samples: int | None = ...,
        image_size: int = ...,
        context_length: int = ...,
        augment: str = ...,
        preprocess: Mapping[str, Any] | None = ...,
        normalize: bool = ...,
        caption_keys: str = ...,
        weight_column: str | None = ...,
        upsampling_factors: Sequence[float] | None = ...,
        shuffle_window: int | None = ...,
        dataset_resampled: bool = ...,
        cache_dir: _Path | None = ...,
        cache_limit: float = ...,
        rank: int | None = ...,
        world_size: int | None = ...,
        threads: int | None = ...,
    ) -> None: ...
    @property
    def pairs(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]: ...
    def set_epoch(self, epoch: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

class DataLoader(torch.utils.data.DataLoader[tuple[torch.Tensor, torch.Tensor]]):
    dataset: Dataset
    def __init__(self, dataset: Dataset, num_workers: int = ..., **options: Any) -> None: ...
    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]: ...  # type: ignore[override]
    @property
    def epoch(self) -> int: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
