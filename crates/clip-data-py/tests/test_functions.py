"""Hashes, tokens, pixels, tables, contamination, fetch, and what ends them."""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from importlib.util import find_spec

import numpy
import pyarrow
import torch
from PIL import Image
from torchvision import transforms

import clip_data
import corpus

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class FunctionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        os.environ["CLIP_DATA_CACHE"] = os.path.join(cls.scratch.name, "cache")
        cls.image = corpus.png(70, 50, 1)
        cls.path = os.path.join(cls.scratch.name, "a.png")
        with open(cls.path, "wb") as file:
            file.write(cls.image)

    def test_a_hash_of_bytes_and_of_a_file_is_one(self):
        value = clip_data.hash(self.image)
        self.assertRegex(value, "^[0-9a-f]{16}$")
        self.assertEqual(clip_data.hash([self.path, self.image, bytearray(self.image)]), [value] * 3)
        self.assertEqual(len(clip_data.hash(self.image, "pdq")), 64)
        self.assertNotEqual(clip_data.hash(self.image, compat="imagehash"), clip_data.hash(self.image, "dhash"))
        with self.assertRaisesRegex(clip_data.Error, 'no hash "md5" of "imagededup"\nhint: phash'):
            clip_data.hash(self.image, "md5")
        with self.assertRaisesRegex(clip_data.Error, "^image 1: "):
            clip_data.hash([self.image, b"none"])
        with self.assertRaisesRegex(clip_data.Error, "^/absent.png: "):
            clip_data.hash("/absent.png")

    def test_tokens_are_clips(self):
        ids = clip_data.tokenize(["a photo of a cat", ""], 8)
        self.assertEqual(ids.dtype, numpy.int64)
        self.assertEqual(ids.tolist(), [[49406, 320, 1125, 539, 320, 2368, 49407, 0], [49406, 49407] + [0] * 6])
        self.assertEqual(clip_data.tokenize("a").shape, (1, 77))

    def test_pixels_are_torchvisions_to_the_bit(self):
        image = Image.open(io.BytesIO(self.image)).convert("RGB")
        for size, kernel, name in ((32, 3, "bicubic"), (16, 2, "bilinear"), (224, 3, "bicubic")):
            plain = transforms.Compose([transforms.Resize(size, kernel), transforms.CenterCrop(size)])
            whole = transforms.Compose([plain, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
            cfg = {"interpolation": name}
            pixels = clip_data.transform(self.image, size, preprocess=cfg, normalize=False)
            self.assertTrue(numpy.array_equal(pixels, numpy.asarray(plain(image))))
            numbers = clip_data.transform([self.path], size, preprocess=cfg)
            self.assertEqual((numbers.shape, numbers.dtype), ((1, 3, size, size), numpy.float32))
            self.assertTrue(torch.equal(torch.from_numpy(numbers[0]), whole(image)))
        with self.assertRaisesRegex(clip_data.Error, "preprocess: resize_mode \"crop\": one of"):
            clip_data.transform(self.image, preprocess={"resize_mode": "crop"})

    def test_shards_are_arrow_tables(self):
        folder = corpus.write(os.path.join(self.scratch.name, "shards"), 2, 5)
        rows = clip_data.read_shards(os.path.join(folder, "{00000..00001}.tar"), images=True)
        for _ in range(2):
            table = pyarrow.table(rows)
            self.assertEqual(table.num_rows, 10)
        self.assertEqual(table.column_names, ["shard", "key", "caption", "json", "extension", "image"])
        row = table.slice(7, 1).to_pylist()[0]
        self.assertEqual((row["key"], row["caption"], row["extension"]), ("000007", corpus.caption(7), "png"))
        self.assertEqual((row["image"], json.loads(row["json"])), (corpus.png(12, 9, 7), {"n": 7}))
        self.assertEqual(clip_data.read_shards([folder]).column_names, ["shard", "key", "caption", "json"])
        with self.assertRaisesRegex(Exception, "/absent/0.tar"):
            pyarrow.table(clip_data.read_shards("/absent/0.tar"))
        with open(os.path.join(folder, "00001.tar"), "r+b") as file:
            file.truncate(700)
        with self.assertRaisesRegex(Exception, "00001.tar"):
            pyarrow.table(rows)

    @unittest.skipUnless(find_spec("polars"), "polars is not installed")
    def test_polars_reads_them(self):
        import polars

        rows, absent = self.samples("polars")
        for _ in range(2):
            table = polars.DataFrame(rows)
            self.assertEqual((table.shape, table.columns), ((10, 6), rows.column_names))
        self.assertEqual((table["caption"][7], table["image"][7]), (corpus.caption(7), corpus.png(12, 9, 7)))
        with self.assertRaisesRegex(Exception, "/absent/0.tar"):
            polars.DataFrame(absent)

    @unittest.skipUnless(find_spec("duckdb"), "duckdb is not installed")
    def test_duckdb_reads_them(self):
        import duckdb

        rows, absent = self.samples("duckdb")
        counts = duckdb.sql("select shard, count(*) from rows group by shard order by shard").fetchall()
        self.assertEqual([(os.path.basename(shard), count) for shard, count in counts], [("00000.tar", 5), ("00001.tar", 5)])
        found = duckdb.sql("select caption, image from rows where key = '000007'").fetchall()
        self.assertEqual(found, [(corpus.caption(7), corpus.png(12, 9, 7))])
        with self.assertRaisesRegex(Exception, "/absent/0.tar"):
            duckdb.sql("select count(*) from absent").fetchall()

    def samples(self, name):
        """Those of two shards of five, and of a shard that is absent."""
        folder = corpus.write(os.path.join(self.scratch.name, name), 2, 5)
        return clip_data.read_shards(folder, images=True), clip_data.read_shards("/absent/0.tar")

    def test_a_folder_that_is_no_run_is_named(self):
        with self.assertRaisesRegex(clip_data.Error, f"{self.scratch.name}: no build is here\nhint: "):
            clip_data.read_run(self.scratch.name)

    def test_a_stage_that_dropped_nothing_has_no_rejects(self):
        folder = os.path.join(self.scratch.name, "built")
        corpus.write(os.path.join(folder, "shards"), 2, 5)
        with open(os.path.join(folder, "pipeline.toml"), "w") as file:
            file.write('schema = 1\nname = "one"\n[source]\nkind = "webdataset"\npaths = ["shards"]\n')
        subprocess.run(["clip-data", "build", "-q", "-c", folder], check=True, stdout=subprocess.DEVNULL)
        run = os.path.join(folder, "runs", "one")
        self.assertEqual(pyarrow.table(clip_data.read_run(run, "collect")).num_rows, 10)
        for stage in ("collect", None):
            rejects = pyarrow.table(clip_data.read_run(run, stage, rejects=True))
            self.assertEqual((rejects.num_rows, rejects.column_names[-2:]), (0, ["reason", "detail"]))

    def test_a_planted_copy_is_found(self):
        sets = os.path.join(self.scratch.name, "set")
        for name in ("one", "two"):
            os.makedirs(os.path.join(sets, name))
        for name, seed in (("one/a.png", 1), ("one/b.png", 2), ("two/c.png", 3), ("two/d.png", 4)):
            gradient(seed).save(os.path.join(sets, name))
        images = os.path.join(self.scratch.name, "images")
        os.makedirs(images)
        for name, seed in (("x.png", 3), ("y.png", 8), ("z.png", 9)):
            gradient(seed).save(os.path.join(images, name))
        out = os.path.join(self.scratch.name, "out")
        report = clip_data.contamination(images, {"toys": sets}, out=out)
        found = report["sets"][0]
        self.assertEqual((found["name"], [copy["id"] for copy in found["copies"]]), ("toys", ["x.png"]))
        self.assertTrue(os.path.exists(os.path.join(out, "pairs.parquet")))
        with self.assertRaisesRegex(clip_data.Error, "/absent"):
            clip_data.contamination("/absent", {"toys": sets})

    def test_fetch_raises_what_the_executable_prints(self):
        with self.assertRaisesRegex(clip_data.Error, "/absent.txt"):
            clip_data.fetch("/absent.txt", os.path.join(self.scratch.name, "fetched"), image_size=64)

    def test_ctrl_c_ends_work_before_it_is_done(self):
        folder = corpus.write(os.path.join(self.scratch.name, "many"), 1, 200)
        # A batch takes a second, and 30 are asked for.
        self.interrupted(f"""
rows = clip_data.Dataset({folder!r}, global_batch_size=200, image_size=1024, augment="none", normalize=False, threads=1)
begun()
for _ in range(30):
    list(rows)
""")
        self.interrupted(f"""
images = [corpus.png(1200, 900, 1)] * 1000
begun()
clip_data.transform(images, 1024)
""")

    def interrupted(self, work):
        """Runs `work` in a Python of its own, which Ctrl-C ends a second after it called `begun`."""
        work = work.strip().replace("\n", "\n    ")
        program = f"""
import signal, sys
import clip_data
# A program that a shell started in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
import corpus
def begun():
    print("begun", flush=True)
try:
    {work}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), "begun\n")
        time.sleep(1)
        child.send_signal(signal.SIGINT)
        sent = time.monotonic()
        self.assertEqual(child.stdout.readline(), "interrupted\n")
        self.assertLess(time.monotonic() - sent, 5)
        child.kill()
        child.wait()
        child.stdout.close()


def gradient(seed):
    """A smooth image of a seed."""
    random = numpy.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (6, 6, 3), numpy.uint8))
    return coarse.resize((160, 120), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    unittest.main()
