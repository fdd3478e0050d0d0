"""Small shards of other tools, for tests that read them without Python: shards.py FOLDER"""
import functools
import http.server
import io
import os
import shutil
import sys
import tempfile
import threading

import numpy
import pyarrow
import pyarrow.parquet
import webdataset
from PIL import Image


def noise(number, side=24):
    pixels = numpy.arange(side * side * 3).reshape(side, side, 3) * (number + 3) % 256
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype("uint8")).resize((64, 48), Image.BICUBIC).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def by_webdataset(path):
    with webdataset.TarWriter(path, mtime=0) as writer:
        writer.write({"__key__": "a/22.0/first", "jpg": noise(0), "txt": "a first example", "cls": 7})
        writer.write({"__key__": "a/22.0/second", "seg.png": b"not decoded", "json": {"caption": "naïve \u2603", "n": [1, 2]}})
        writer.write({"__key__": "third", "jpg": noise(1), "_hidden": "never written", "txt": ""})


def by_img2dataset(folder):
    import img2dataset
    with tempfile.TemporaryDirectory() as site:
        for number in range(3):
            with open(os.path.join(site, f"{number}.jpg"), "wb") as file:
                file.write(noise(number))
        with open(os.path.join(site, "3.jpg"), "wb") as file:
            file.write(b"no image")
        quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=site))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        rows = {"url": [f"{base}/{n}.jpg" for n in (0, 1, 2, 3, 9)],
                "caption": ["one", "two, with \u00e9", None, "no image", "not there"],
                "uid": [f"{n:032x}" for n in range(5)]}
        table = os.path.join(site, "list.parquet")
        pyarrow.parquet.write_table(pyarrow.table(rows), table)
        out = os.path.join(site, "out")
        img2dataset.download(
            url_list=table, input_format="parquet", url_col="url", caption_col="caption", image_size=32,
            resize_mode="keep_ratio", output_format="webdataset", output_folder=out, processes_count=1,
            thread_count=1, number_sample_per_shard=10, save_additional_columns=["uid"])
        for name in ("00000.tar", "00000.parquet", "00000_stats.json"):
            shutil.copy(os.path.join(out, name), os.path.join(folder, f"img2dataset_{name}"))


def by_numpy(path):
    uids = ["139e4a9b22a614771f06c700a8ebe150", "6e356964a967af455c8016b75d691203"]
    ids = numpy.array([(int(uid[:16], 16), int(uid[16:], 16)) for uid in uids], numpy.dtype("u8,u8"))
    ids.sort()
    numpy.save(path, ids)


if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    by_webdataset(os.path.join(folder, "webdataset.tar"))
    by_numpy(os.path.join(folder, "datacomp_subset.npy"))
    by_img2dataset(folder)
