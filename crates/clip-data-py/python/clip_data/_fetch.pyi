from os import PathLike
from typing import Any

def fetch(url_list: str | PathLike[str], output_folder: str | PathLike[str], **options: Any) -> str: ...
