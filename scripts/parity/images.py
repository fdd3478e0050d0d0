"""Decoded pixels of the images of folders, by Pillow and by ours. Run by scripts/parity/images."""
import argparse
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from pillow_rgb import pillow_rgb  # noqa: E402

FORMATS = [b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*"]


def known(data):
    """Whether the first bytes are those of a format that we decode."""
    netpbm = data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace()
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return netpbm or webp or any(data.startswith(head) for head in FORMATS)


class Ours:
    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([command], stdin=pipe, stdout=pipe)

    def rgb(self, path):
        """Pixels [h, w, 3], or the reason why there are none."""
        out = self.process.stdout
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        width, height = struct.unpack("<II", out.read(8))
        if width == 0:
            return out.read(height).decode()
        return np.frombuffer(out.read(width * height * 3), np.uint8).reshape(height, width, 3)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--ours", required=True, help="the example's executable")
    arguments.add_argument("folders", nargs="+")
    a = arguments.parse_args()
    # Some test images ask for all the memory that there is.
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    ours = Ours(a.ours)
    both = differ = pillow_only = ours_only = neither = 0
    for folder in a.folders:
        for root, _, names in sorted(os.walk(folder)):
            for path in sorted(Path(root) / name for name in names):
                data = path.read_bytes()
                if not known(data):
                    continue
                try:
                    theirs = pillow_rgb(data)
                except Exception as error:  # Pillow raises a dozen kinds.
                    theirs = f"{type(error).__name__}: {error}"
                mine = ours.rgb(path.resolve())
                if isinstance(mine, str) or isinstance(theirs, str):
                    neither += isinstance(mine, str) and isinstance(theirs, str)
                    if not isinstance(theirs, str):
                        pillow_only += 1
                        print(f"Pillow only\t{path}\t{mine}")
                    elif not isinstance(mine, str):
                        ours_only += 1
                        print(f"ours only\t{path}\t{theirs.splitlines()[0]}")
                    continue
                both += 1
                if mine.shape != theirs.shape:
                    differ += 1
                    print(f"size\t{path}\t{mine.shape} for {theirs.shape}")
                    continue
                distance = abs(mine.astype(int) - theirs)
                if distance.max() > 1:
                    differ += 1
                    share = (distance.max(2) > 1).mean()
                    print(f"differs\t{path}\tby up to {distance.max()} levels in {share:.1%} of the pixels")
    print(f"{both} opened by both, {differ} of them differ by more than a level; "
          f"{pillow_only} by Pillow only, {ours_only} by ours only, {neither} by neither")


main()
