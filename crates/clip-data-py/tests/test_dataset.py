"""Batches: the same on any number of processes and workers, from any place."""

import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

import torch

import clip_data
import corpus

SHARDS, PAIRS, BATCH = 8, 24, 16
STEPS = SHARDS * PAIRS // BATCH


def dataset(folder, **options):
    options = {"global_batch_size": BATCH, "image_size": 8, "context_length": 16, "shuffle_window": 3, "seed": 5} | options
    return clip_data.Dataset(folder, **options)


def batches(loader):
    return [(images.clone(), texts.clone()) for images, texts in loader]


def equal(left, right):
    same = lambda pair: torch.equal(pair[0][0], pair[1][0]) and torch.equal(pair[0][1], pair[1][1])
    return len(left) == len(right) and all(map(same, zip(left, right)))


class DatasetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        os.environ["CLIP_DATA_CACHE"] = os.path.join(cls.scratch.name, "cache")
        cls.folder = corpus.write(os.path.join(cls.scratch.name, "shards"), SHARDS, PAIRS)
        cls.whole = batches(clip_data.DataLoader(dataset(cls.folder)))

    def test_an_epoch_has_every_pair_once(self):
        self.assertEqual(len(dataset(self.folder)), STEPS)
        texts = {tuple(row.tolist()) for _, texts in self.whole for row in texts}
        wanted = {tuple(row) for row in clip_data.tokenize(map(corpus.caption, range(SHARDS * PAIRS)), 16).tolist()}
        self.assertEqual(texts, wanted)
        images, texts = self.whole[0]
        self.assertEqual((images.shape, images.dtype), (torch.Size([BATCH, 3, 8, 8]), torch.float32))
        self.assertEqual((texts.shape, texts.dtype), (torch.Size([BATCH, 16]), torch.int64))

    def test_a_batch_that_is_kept_stays_as_it_is(self):
        for normalize in (True, False):
            # No clone: each is memory that the loader would fill again if nobody had it.
            loader = clip_data.DataLoader(dataset(self.folder, normalize=normalize))
            kept = list(loader)
            del loader
            again = batches(clip_data.DataLoader(dataset(self.folder, normalize=normalize)))
            self.assertTrue(equal(kept, again))
            first = kept[0][0][1:3]
            wanted = again[0][0][1:3]
            del kept
            self.assertTrue(torch.equal(first, wanted))
        self.assertEqual((first.shape, first.dtype), (torch.Size([2, 8, 8, 3]), torch.uint8))

    def test_batches_that_are_let_go_take_no_memory(self):
        pages = lambda: int(pathlib.Path("/proc/self/statm").read_text().split()[1])
        iterator = iter(clip_data.DataLoader(dataset(self.folder, epochs=100, image_size=224)))
        for _ in range(STEPS // 2):
            next(iterator)
        before = pages()
        for _ in range(STEPS // 2 - 1):
            next(iterator)
        # A batch has 9.6 MB; some are decoded ahead.
        self.assertLess((pages() - before) * os.sysconf("SC_PAGE_SIZE"), 6 * BATCH * 3 * 224 * 224 * 4)

    def test_workers_change_nothing(self):
        for workers in (0, 2, 4):
            for method in ("fork", "spawn"):
                with self.subTest(workers=workers, method=method):
                    options = {"multiprocessing_context": method} if workers else {}
                    loader = clip_data.DataLoader(dataset(self.folder), num_workers=workers, **options)
                    self.assertTrue(equal(batches(loader), self.whole))

    def test_an_iteration_is_an_epoch(self):
        loader = clip_data.DataLoader(dataset(self.folder, epochs=3), num_workers=2)
        epochs = []
        for epoch in range(3):
            self.assertEqual(loader.epoch, epoch)
            epochs.append(batches(loader))
        # So a loop over what is left ends where all are done.
        self.assertEqual(loader.epoch, 3)
        self.assertTrue(equal(epochs[0], self.whole))
        self.assertFalse(equal(epochs[1], epochs[0]))
        with self.assertRaisesRegex(clip_data.Error, "all 3 epochs are done\nhint: "):
            batches(loader)
        loader.dataset.set_epoch(1)
        self.assertTrue(equal(batches(loader), epochs[1]))

    def test_a_state_resumes_at_the_sample_on_other_workers_and_processes(self):
        for workers in (0, 1, 2, 4):
            loader = clip_data.DataLoader(dataset(self.folder), num_workers=workers)
            for seen, batch in enumerate(loader, 1):
                if seen == 5:
                    break
            state = pickle.loads(pickle.dumps(loader.state_dict()))
            self.assertEqual(state["samples"], 5 * BATCH)
            for again in (0, 1, 2, 4):
                with self.subTest(workers=workers, again=again):
                    loader = clip_data.DataLoader(dataset(self.folder), num_workers=again)
                    loader.load_state_dict(state)
                    self.assertTrue(equal(batches(loader), self.whole[5:]))
            ranks = []
            for rank in range(2):
                loader = clip_data.DataLoader(dataset(self.folder, rank=rank, world_size=2), num_workers=1)
                loader.load_state_dict(state)
                ranks.append(batches(loader))
            joined = [tuple(torch.cat(parts) for parts in zip(*halves)) for halves in zip(*ranks)]
            self.assertTrue(equal(joined, self.whole[5:]))

    def test_a_killed_process_resumes_with_the_same_samples(self):
        program = """
import hashlib, json, os, sys
import clip_data, test_dataset
folder, path, workers = sys.argv[1:]
loader = clip_data.DataLoader(test_dataset.dataset(folder), num_workers=int(workers))
if os.path.exists(path):
    with open(path) as file:
        loader.load_state_dict(json.load(file))
for images, texts in loader:
    print(hashlib.sha256(images.numpy().tobytes() + texts.numpy().tobytes()).hexdigest(), flush=True)
    with open(path + ".new", "w") as file:
        json.dump(loader.state_dict(), file)
    os.replace(path + ".new", path)
"""
        for workers in (1, 2, 4):
            path = os.path.join(self.scratch.name, f"state-{workers}.json")
            command = [sys.executable, "-c", program, self.folder, path, str(workers)]
            whole = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.path.dirname(__file__))
            whole = whole.stdout.split()
            self.assertEqual(len(whole), STEPS)
            os.remove(path)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(__file__)) as killed:
                seen = [killed.stdout.readline().strip() for _ in range(4)]
                # The state of what was printed last may not be there yet.
                while not os.path.exists(path):
                    time.sleep(0.01)
                killed.kill()
                seen += killed.stdout.read().split()
            with open(path) as file:
                done = json.load(file)["samples"] // BATCH
            self.assertEqual(seen, whole[: len(seen)])
            again = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.path.dirname(__file__))
            self.assertEqual(again.stdout.split(), whole[done:])

    def test_ranks_are_those_of_torch_distributed(self):
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{self.scratch.name}/store", rank=0, world_size=1
        )
        try:
            self.assertEqual((dataset(self.folder).rank, dataset(self.folder).world_size), (0, 1))
        finally:
            torch.distributed.destroy_process_group()

    def test_what_cannot_be_is_refused(self):
        for options, words in (
            ({"rank": 0, "world_size": 3}, "a batch of 16 cannot be shared by 3 processes"),
            ({"rank": 2, "world_size": 2}, "rank 2 of 2 processes"),
            ({"rank": 1}, "given together"),
            ({"augment": "flip"}, "one of none, square-crop"),
            ({"caption_keys": "txt"}, "hint: as in txt=0.3"),
            ({"preprocess": {"mean": [1, 2]}}, "three numbers"),
            ({"global_batch_size": 1000}, "more than the corpus has: 192"),
            ({"upsampling_factors": [1, 2]}, "2 for 1 sources"),
        ):
            with self.subTest(words), self.assertRaisesRegex(clip_data.Error, words):
                len(dataset(self.folder, **options))
        with self.assertRaisesRegex(clip_data.Error, "/absent"):
            len(dataset("/absent/{00..01}.tar"))
        loader = clip_data.DataLoader(dataset(self.folder))
        state = loader.state_dict()
        for name, other in (("seed", 6), ("corpus", "x"), ("version", 2)):
            with self.assertRaisesRegex(clip_data.Error, name):
                loader.load_state_dict(state | {name: other})
        for options in ({"batch_size": 4}, {"shuffle": True}, {"persistent_workers": True}):
            with self.assertRaises(clip_data.Error):
                clip_data.DataLoader(dataset(self.folder), **options)

    def test_a_broken_image_is_replaced_and_named(self):
        folder = corpus.write(os.path.join(self.scratch.name, "broken"), 1, 16, broken={3})
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            batches(clip_data.DataLoader(dataset(folder)))
        text = str(found[0].message)
        self.assertEqual(len(found), 1)
        self.assertRegex(text, "00000.tar: the image at byte .*; another pair takes its place")

    def test_torchs_own_loader_says_what_it_cannot_keep(self):
        program = (
            "import sys, torch, test_dataset\n"
            "loader = torch.utils.data.DataLoader(test_dataset.dataset(sys.argv[1]), batch_size=None, num_workers=1)\n"
            "print(len(list(loader)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, self.folder], capture_output=True, text=True, cwd=os.path.dirname(__file__)
        )
        self.assertEqual(done.stdout.strip(), str(STEPS), done.stderr)
        self.assertIn("workers need clip_data.DataLoader", done.stderr)

    def test_other_threads_run_while_a_batch_is_decoded(self):
        folder = corpus.write(os.path.join(self.scratch.name, "large"), 1, 64)
        ticks, done = 0, threading.Event()

        def count():
            nonlocal ticks
            while not done.wait(0.001):
                ticks += 1

        thread = threading.Thread(target=count)
        thread.start()
        for _ in clip_data.DataLoader(dataset(folder, global_batch_size=64, image_size=512, threads=1)):
            pass
        done.set()
        thread.join()
        self.assertGreater(ticks, 20)


if __name__ == "__main__":
    unittest.main()
