"""See scripts/golden/resize."""
import glob, io, json, os, sys

import cv2
import numpy as np
from img2dataset.resizer import Resizer

CASES = [
    ("border", False, False), ("border", False, True), ("border", True, False),
    ("keep_ratio", False, False), ("keep_ratio", True, False), ("keep_ratio", True, True),
    ("keep_ratio_largest", False, False), ("keep_ratio_largest", True, False), ("keep_ratio_largest", True, True),
    ("center_crop", False, False), ("center_crop", True, False),
    ("no", False, False), ("no", False, True),
]


def probes(image):
    """Red, green and blue of 12 places that lie all over the image."""
    height, width = image.shape[:2]
    return [int(v) for i in range(12) for v in image[(i * 97 + 11) % height, (i * 151 + 7) % width][::-1]]


def resizes(folder):
    rows = []
    for path in sorted(glob.glob(f"{folder}/[0-9]*.jpg")):
        data = open(path, "rb").read()
        for mode, bigger, skip in CASES:
            for size in (256, 512):
                for kind, quality in (("jpg", 95), ("webp", 95), ("png", 9)):
                    resizer = Resizer(size, mode, bigger, encode_quality=quality, encode_format=kind, skip_reencode=skip)
                    out, width, height, ow, oh, error = resizer(io.BytesIO(data))
                    assert error is None, error
                    image = cv2.imdecode(np.frombuffer(out, np.uint8), cv2.IMREAD_COLOR)
                    row = {"image": os.path.basename(path), "mode": mode, "bigger": bigger, "skip": skip, "size": size,
                           "kind": kind, "width": width, "height": height, "same": out == data,
                           "mean": [round(float(v), 2) for v in image.reshape(-1, 3).mean(0)[::-1]]}
                    if kind == "png":
                        row["probes"] = probes(image)
                    rows.append(row)
    return rows


def interpolations():
    """cv2.resize of a small image that the test makes by the same formula."""
    source = np.array([[[(x * 37 + y * 91 + c * 53 + x * y * 7) % 256 for c in range(3)] for x in range(11)] for y in range(7)], np.uint8)
    kinds = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA,
             "lanczos": cv2.INTER_LANCZOS4}
    return [{"kind": kind, "width": w, "height": h, "pixels": cv2.resize(source, (w, h), interpolation=flag).reshape(-1).tolist()}
            for kind, flag in kinds.items() for w, h in ((5, 3), (15, 13), (6, 10), (11, 4))]


def write(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


write("crates/clip-crawl/tests/golden/resize.jsonl", resizes(sys.argv[1]))
write("crates/clip-image/tests/golden/opencv.jsonl", interpolations())
