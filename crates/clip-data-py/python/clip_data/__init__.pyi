from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, overload

import numpy
import numpy.typing

from ._dataset import DataLoader as DataLoader
from ._dataset import Dataset as Dataset
from ._error import Error as Error
from ._fetch import fetch as fetch
from ._native import Rows

__version__: str

_Path = str | PathLike[str]
_Image = bytes | bytearray | _Path
_Kind = Literal["phash", "dhash", "ahash", "whash", "pdq"]
_Tool = Literal["imagededup", "imagehash"]

@overload
def hash(images: _Image, kind: _Kind = ..., compat: _Tool = ..., fast: bool = ...) -> str: ...
@overload
def hash(images: Iterable[_Image], kind: _Kind = ..., compat: _Tool = ..., fast: bool = ...) -> list[str]: ...
def tokenize(texts: str | Iterable[str], context_length: int = ...) -> numpy.typing.NDArray[numpy.int64]: ...
@overload
def transform(
    images: _Image | Iterable[_Image],
    image_size: int = ...,
    *,
    preprocess: Mapping[str, Any] | None = ...,
    normalize: Literal[True] = ...,
) -> numpy.typing.NDArray[numpy.float32]: ...
@overload
def transform(
    images: _Image | Iterable[_Image],
    image_size: int = ...,
    *,
    preprocess: Mapping[str, Any] | None = ...,
    normalize: Literal[False],
) -> numpy.typing.NDArray[numpy.uint8]: ...
def read_run(run: _Path, stage: str | None = ..., *, rejects: bool = ...) -> Rows: ...
def read_shards(shards: _Path | Sequence[_Path], *, images: bool = ...) -> Rows: ...
def contamination(
    corpus: _Path | Sequence[_Path],
    sets: Mapping[str, _Path],
    *,
    out: _Path | None = ...,
    threshold: float | None = ...,
    thorough: bool = ...,
    index: _Path | None = ...,
) -> dict[str, Any]: ...
