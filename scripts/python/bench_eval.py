"""What scripts/bench_eval runs: makes model and data, times both tools in turn, compares what they found."""

import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import time

import numpy as np

WORK, CLASSES, RETRIEVAL, CLIP_BENCHMARK, RUNS = *sys.argv[1:5], int(sys.argv[5])
FASHION = "/usr/share/datasets/fashion-mnist"


def path(*names):
    return os.path.join(WORK, *names)


def make():
    """A small CLIP with random weights, and the two sets in CLIP_benchmark's layout."""
    if not os.path.exists(path("model", "open_clip_model.safetensors")):
        import open_clip
        import torch
        from safetensors.torch import save_file

        torch.manual_seed(0)
        vision = {"image_size": 32, "layers": 4, "width": 128, "head_width": 32, "patch_size": 4}
        text = {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 4}
        model = open_clip.CLIP(64, open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text))
        os.makedirs(path("model"), exist_ok=True)
        preprocess = {
            "mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bicubic", "resize_mode": "shortest",
        }
        config = {"model_cfg": {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": preprocess}
        with open(path("model", "open_clip_config.json"), "w") as file:
            json.dump(config, file)
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path("model", "open_clip_model.safetensors"))
    with tarfile.open(RETRIEVAL) as tar:
        os.makedirs(path("unpacked"), exist_ok=True)
        tar.extractall(path("unpacked"), filter="data")
        os.rename(path("unpacked", tar.getnames()[0].split("/")[0]), path("wds_retrieval"))
    if not os.path.exists(path("wds_classes", "classnames.txt")):
        os.makedirs(path("wds_classes", "test"), exist_ok=True)
        items = []
        with tarfile.open(CLASSES) as tar:
            for member in tar:
                parts = member.name.split("/")
                if parts[0] == "test" and len(parts) == 3 and parts[2].endswith(".jpg"):
                    items.append((tar.extractfile(member).read(), parts[1]))
        classes = sorted({name for _, name in items})
        random.Random(0).shuffle(items)
        for shard in range(2):
            with tarfile.open(path("wds_classes", "test", f"{shard}.tar"), "w") as tar:
                for at, (image, label) in enumerate(items[shard::2]):
                    for end, content in (("jpg", image), ("cls", str(classes.index(label)).encode())):
                        info = tarfile.TarInfo("s%07d.%s" % (2 * at + shard, end))
                        info.size = len(content)
                        tar.addfile(info, io.BytesIO(content))
        for name, text in (("test/nshards.txt", "2"), ("zeroshot_classification_templates.txt", "a photo of a {c}.\na blurry photo of a {c}."),
                           ("classnames.txt", "\n".join(classes))):
            with open(path("wds_classes", name), "w") as file:
                file.write(text + "\n")


def timed(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - start


def alternately(name, commands):
    """Runs each command once to warm the caches, then in turn; prints medians and their ratio."""
    times = {tool: [] for tool in commands}
    for tool, command in commands.items():
        timed(command)
    for _ in range(RUNS):
        for tool, command in commands.items():
            times[tool].append(timed(command))
    medians = {tool: statistics.median(t) for tool, t in times.items()}
    ours, theirs = medians["clip-data"], next(v for k, v in medians.items() if k != "clip-data")
    shown = ", ".join(f"{tool} {m:.2f} s (min {min(times[tool]):.2f})" for tool, m in medians.items())
    print(f"{name}: {shown}; {ours / theirs:.3f}x", flush=True)


def evaluation(dataset, task, ours_task, more=()):
    root = path(f"wds_{dataset}")
    theirs = [CLIP_BENCHMARK, "eval", "--dataset", f"wds/{dataset}", "--dataset_root", root, "--model",
              f"local-dir:{path('model')}", "--pretrained", "", "--task", task, "--no_amp", "--num_workers", "1",
              "--batch_size", "64", "--output", path(f"{dataset}_theirs.json"), "--quiet", *more]
    ours = ["clip-data", "eval", ours_task, "--model", path("model"), "--dataset", root, "--output",
            path(f"{dataset}_ours.json"), "--logits", path(f"{dataset}_ours.npy"), "--device", "cpu"]
    if ours_task == "zero-shot":
        ours += ["--no-classifier-cache"]
    alternately(f"{dataset} ({task})", {"clip-benchmark": theirs, "clip-data": ours})
    a, b = (json.load(open(path(f"{dataset}_{who}.json")))["metrics"] for who in ("theirs", "ours"))
    for key, value in a.items():
        same = b.get(key) is not None and abs(b[key] - value) < 5e-7
        print(f"  {key}: clip-benchmark {value:.6f}, clip-data {b.get(key)}{'' if same else '  DIFFERENT'}")


def parity(dataset):
    """clip-benchmark's own logits on the same shards, beside ours, item by item."""
    import torch
    from clip_benchmark.datasets.builder import build_wds_dataset, get_dataset_collate_fn
    from clip_benchmark.metrics import zeroshot_classification as zero
    from clip_benchmark.models import load_clip

    model, transform, tokenizer = load_clip("open_clip", f"local-dir:{path('model')}", "", None, "cpu")
    model.eval()
    found = build_wds_dataset(f"wds/{dataset}", transform, split="test", data_dir=path(f"wds_{dataset}"))
    ours = np.load(path(f"{dataset}_ours.npy"))
    if found.classes:
        loader = torch.utils.data.DataLoader(found.batched(64), batch_size=None, num_workers=0)
        weights = zero.zero_shot_classifier(model, tokenizer, found.classes, found.templates, "cpu", amp=False)
        theirs = zero.run_classification(model, weights, loader, "cpu", amp=False)[0].numpy()
    else:
        rows = list(found)
        with torch.no_grad():
            images = torch.nn.functional.normalize(model.encode_image(torch.stack([row[0] for row in rows])), dim=-1)
            texts = tokenizer([text for row in rows for text in row[1]])
            texts = torch.nn.functional.normalize(model.encode_text(texts), dim=-1)
        theirs = (texts @ images.T).numpy()
    difference = np.abs(ours - theirs)
    changed = np.nonzero(ours.argmax(1) != theirs.argmax(1))[0]
    print(f"  {dataset}: {theirs.shape} scores, largest difference {difference.max():.2e}, "
          f"mean {difference.mean():.2e}; {len(changed)} of {len(theirs)} predictions differ")
    for row in changed[:20]:
        a, b = theirs[row].argmax(), ours[row].argmax()
        print(f"    row {row}: clip-benchmark {a} ({theirs[row, a]:.6f}, {theirs[row, b]:.6f}), clip-data {b} ({ours[row, a]:.6f}, {ours[row, b]:.6f})")


def probe():
    """One fit with scikit-learn and with ours on the same features, in processes of their own."""
    import gzip

    raw = path("fashion_pixels")
    if not os.path.exists(raw):
        os.makedirs(raw + ".tmp", exist_ok=True)
        for part, name in (("train", "train"), ("t10k", "test")):
            images = gzip.open(f"{FASHION}/{part}-images-idx3-ubyte.gz").read()[16:]
            labels = gzip.open(f"{FASHION}/{part}-labels-idx1-ubyte.gz").read()[8:]
            pixels = np.frombuffer(images, np.uint8).reshape(-1, 784).astype(np.float32) / 255
            np.save(f"{raw}.tmp/{name}.npy", pixels)
            np.save(f"{raw}.tmp/{name}_labels.npy", np.frombuffer(labels, np.uint8).astype(np.int64))
        os.rename(raw + ".tmp", raw)
    tower = path("fashion_tower")
    if not os.path.exists(tower):
        timed(["clip-data", "eval", "linear-probe", "--model", path("model"), "--dataset", f"fashion-mnist={FASHION}",
               "--drop-shared", "--save-features", tower, "--lambda", "1", "--device", "cpu"])
    script = (
        "import sys, time, warnings, numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "warnings.filterwarnings('ignore')\n"
        "f, lam = sys.argv[1], float(sys.argv[2])\n"
        "x, y, t, u = (np.load(f'{f}/{n}.npy') for n in ('train', 'train_labels', 'test', 'test_labels'))\n"
        "m = LogisticRegression(C=1 / lam, max_iter=1000).fit(x, y)\n"
        "z = x.astype(np.float64) @ m.coef_.T + m.intercept_\n"
        "z -= z.max(1, keepdims=True)\n"
        "j = (np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]).sum() + lam / 2 * (m.coef_.astype(np.float64) ** 2).sum()\n"
        "print(f'objective {j:.4f}, {m.n_iter_[0]} iterations, {(m.predict(t) == u).sum()} of {len(u)} right')\n"
    )
    for name, folder in (("features of the tower, 128", tower), ("pixels, 784", raw)):
        for strength in ("1", "100"):
            theirs = [sys.executable, "-c", script, folder, strength]
            ours = ["clip-data", "eval", "linear-probe", "--features", folder, "--lambda", strength, "--drop-shared"]
            alternately(f"linear probe, Fashion-MNIST, {name}, lambda {strength}", {"scikit-learn": theirs, "clip-data": ours})
            for command in (theirs, ours):
                out = subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()
                print("  " + "; ".join(out))


make()
evaluation("classes", "zeroshot_classification", "zero-shot")
parity("classes")
evaluation("retrieval", "zeroshot_retrieval", "retrieval", ("--recall_k", "1", "5", "10"))
parity("retrieval")
probe()
