"""Runs clip-data on hostile inputs, one case after the other, and prints what each took. See scripts/hostile."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

import hostile_files
import hostile_images
import hostile_models
import hostile_site
from measure import tree

MEMORY = 2 << 30
SECONDS = 60
# Damaged tables for each command that reads tables.
MUTATIONS = int(os.environ.get("MUTATIONS", "25"))
PAGE = os.sysconf("SC_PAGESIZE")


def resident(root):
    """Bytes of the processes that are in memory and their own: pages of mapped files may be dropped at any time."""
    total = 0
    for process in tree(root):
        try:
            with open(f"/proc/{process}/statm") as file:
                _, all_pages, shared = file.read().split()[:3]
                total += (int(all_pages) - int(shared)) * PAGE
        except (OSError, ValueError):
            pass
    return total


def run(argv, folder):
    """Exit code, peak memory, seconds, output, and what ended the run, if it had to be ended."""
    start, peak, why = time.monotonic(), 0, ""
    quiet = lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=quiet,
        )
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            if peak > MEMORY:
                why = "over the memory"
            elif time.monotonic() - start > SECONDS:
                why = "over the time"
            if why:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.005 if peak < 100 << 20 else 0.02)
        out.seek(0)
        return process.returncode, peak, time.monotonic() - start, out.read(), why


class Cases:
    """What is run: (command, input, arguments, exit codes that are right)."""

    def __init__(self, folder, executable, site):
        self.folder, self.executable, self.site, self.all = folder, executable, site, []

    def add(self, command, name, argv, codes):
        self.all.append((command, name, [self.executable, *map(str, argv)], codes))

    def pipeline(self, name, source, more=""):
        text = f'schema = 1\nname = "{name}"\n[source]\n{source}\n[fetch]\nallow_private = true\nhost_delay_ms = 0\n{more}'
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return path

    def fetch(self, name, path, codes):
        argv = ["fetch", path, "--output_folder", f"out/{name}", "--output_format", "parquet", "--progress", "none"]
        columns = [] if ".txt" in name else ["--caption_col", "caption"]
        self.add("fetch", name, [*argv, "--allow_private", "--retries", "0", "--timeout", "20", *columns], codes)

    def images(self):
        folder = self.folder / "images"
        hostile_files.write(folder, hostile_images.all_images())
        self.site.images = folder
        for path in sorted(folder.iterdir()):
            self.add("hash", path.name, ["hash", path], {0})
            one = self.folder / f"one_{path.name}.txt"
            one.write_text(f"{self.site.url}/images/{path.name}\n")
            self.fetch(one.name, one, {0})
        bomb = self.folder / "bomb.txt"
        bomb.write_text(f"{self.site.url}/bomb\n")
        self.fetch("gzip_10g.txt", bomb, {0})

    def loops(self):
        root = self.folder / "loops"
        hostile_files.write(root, {f"{n}/good.png": hostile_images.noise(seed=n) for n in range(3)})
        for at, target in [("0/self", "."), ("0/up", ".."), ("1/far", "../.."), ("1/root", "/"), ("2/one", "../1"), ("x", "x")]:
            os.symlink(target, root / at)
        for n in range(3):
            (root / f"{n}/good.txt").write_text("a good caption of some noise\n")
        os.mkfifo(root / "pipe.png")
        self.add("hash", "links in circles", ["hash", root], {0})
        self.add("contamination", "links in circles", ["contamination", "--corpus", root, "--eval", f"x={self.folder}/sets/classes", "--out", "out/loops"], {0})
        self.add("embed", "links in circles", ["embed", "--model", "model", "--input", root, "--output", "out/embed_loops"], {0})
        path = self.pipeline("loops", f'kind = "folder"\npaths = ["{root}"]')
        self.add("build", "links in circles", ["build", "-c", path, "--until", "collect"], {0})
        corpus = self.pipeline("check", f'kind = "folder"\npaths = ["{root}/0"]', f'[check.against]\nx = "{root}"\n')
        self.add("plan", "links in circles", ["plan", "-c", corpus], {0})

    def lists(self):
        folder = self.folder / "lists"
        hostile_files.write(folder, hostile_files.lists())
        for path in sorted(folder.iterdir()):
            # A shard of a fetch is one part of the table, whose rows are in memory.
            if not path.name.startswith("captions_2g"):
                self.fetch(path.name, path, {0} if path.name.startswith("line_8g") else {0, 2, 3})
            if ".txt" not in path.name:
                pipeline = self.pipeline(f"list_{path.name.replace('.', '_')}", f'kind = "list"\npaths = ["{path}"]')
                # 1: no pair is left.
                self.add("build", path.name, ["build", "-c", pipeline, "--until", "collect"], {0} if path.name.startswith("line_8g") else {0, 1, 2, 3})
        long = self.folder / "long.jsonl"
        long.write_bytes(hostile_files.text_list(hostile_files.captions()))
        pipeline = self.pipeline("captions", f'kind = "list"\npaths = ["{long}"]', "[caption]\n")
        self.add("build", "captions of 400,000 characters", ["build", "-c", pipeline, "--until", "captions"], {0})
        lines = self.folder / "lines.txt"
        lines.write_text("\n".join(hostile_files.captions()), errors="replace")
        self.add("queries build", "captions of 400,000 characters", ["queries", "build", "--text", lines, "--min-count", "2", "-o", "out/q.parquet"], {0, 2})
        self.add("queries build", "line_8g.txt.gz", ["queries", "build", "--list", folder / "line_8g.txt.gz", "-o", "out/r.parquet"], {1, 2, 4})

    def web(self):
        for name in self.site.pages:
            pipeline = self.pipeline(f"page_{name}", f'kind = "web"\nseeds = ["{self.site.url}/page/{name}"]\ndepth = 0')
            self.add("build", f"page of {name}", ["build", "-c", pipeline, "--until", "collect"], {0, 1})
        for robots in filter(None, hostile_site.ROBOTS):
            seeds = f'kind = "web"\nseeds = ["{self.site.url}/page/good"]\ndepth = 1\nsitemaps = true'
            pipeline = self.pipeline(f"robots_{robots}", seeds)
            self.add("build", f"robots.txt of {robots}", ["build", "-c", pipeline, "--until", "collect"], {0})

    def shards(self):
        folder = self.folder / "shards"
        hostile_files.write(folder, hostile_files.shards(hostile_images.noise()))
        for path in sorted(folder.iterdir()):
            self.add("inspect", path.name, ["inspect", path, "--hash"], {0, 2, 4})
            self.add("verify", path.name, ["verify", path, "--decode"], {0, 1, 4})
            self.add("contamination", path.name, ["contamination", "--corpus", path, "--eval", f"x={self.folder}/sets/classes", "--out", f"out/c_{path.name}"], {0, 2, 4})
            self.add("embed", path.name, ["embed", "--model", "model", "--input", path, "--output", f"out/e_{path.name}"], {0, 1, 2, 4})
        lies = self.folder / "lies"
        index = "".join(f"{n:05d}\t{f}\t512\t{2**62}\n" for n in range(20) for f in ["png", "txt"])
        hostile_files.write(lies, {"00000.tar": hostile_files.shard(hostile_images.noise()), "00000.idx": index.encode()})
        for command in ["inspect", "verify"]:
            self.add(command, "an index that lies", [command, lies / "00000.tar"], {0, 1, 4})
        train = ["train", "--model", "model/config.json", "--train-data", lies / "00000.tar", "--logs", "out/logs", "--name", "x", "--batch-size", "4", "--epochs", "1"]
        self.add("train", "an index that lies", train, {0, 4})

    def tables(self):
        """Tables that clip-data wrote, damaged."""
        urls = self.folder / "seed.jsonl"
        urls.write_bytes(b"".join(json.dumps({"url": f"{self.site.url}/good.png?{n}", "caption": f"a good caption {n}"}).encode() + b"\n" for n in range(60)))
        argv = ["fetch", urls, "--output_folder", "seed", "--output_format", "parquet", "--caption_col", "caption", "--allow_private", "--host_delay_ms", "0", "--progress", "none"]
        code, *_, output, _ = run([self.executable, *map(str, argv)], self.folder)
        table = self.folder / "seed/00000.parquet"
        if code != 0 or not table.is_file():
            raise SystemExit(f"the seed of the damaged tables: exit code {code}\n{output.decode()[-2000:]}")
        folder = self.folder / "tables"
        damaged = hostile_files.mutated(table.read_bytes(), MUTATIONS, 5)
        hostile_files.write(folder, {f"damaged_{n:04d}.parquet": content for n, content in enumerate(damaged)})
        for path in sorted(folder.iterdir()):
            # Tables that are read without a fault have rows that cannot be fetched.
            self.fetch(path.name, path, {0, 2, 3, 4})
            self.add("verify", path.name, ["verify", path], {0, 1, 4})
            self.add("inspect", path.name, ["inspect", path], {0, 2, 4})
            self.add("contamination", path.name, ["contamination", "--corpus", path, "--eval", f"x={self.folder}/sets/classes", "--out", f"out/t_{path.stem}"], {0, 2, 4})
            self.add("subset", path.name, ["subset", path, "-w", "width > 1", "-o", f"out/{path.stem}.npy"], {0, 2, 4})

    def models(self):
        model = self.folder / "model"
        config = hostile_models.changed(None, {})
        hostile_files.write(model, {"open_clip_model.safetensors": hostile_models.weights(), "open_clip_config.json": json.dumps(config).encode(), "config.json": json.dumps(hostile_models.CONFIG).encode()})
        zero_shot = lambda path: ["eval", "zero-shot", "--model", path, "--dataset", "sets/classes", "--no-classifier-cache"]
        self.add("eval zero-shot", "a good model", zero_shot(model), {0})
        folder = self.folder / "weights"
        hostile_files.write(folder, hostile_models.archives() | hostile_models.headers())
        for path in sorted(folder.iterdir()):
            self.add("convert", path.name, ["convert", "--model", path, "--model-name", model / "config.json", "--output", f"out/{path.name}.safetensors", "--to", "open-clip"], {2, 4, 5})
        for name, (part, fields) in hostile_models.configurations().items():
            broken = self.folder / f"configs/{name}"
            hostile_files.write(broken, {"open_clip_config.json": json.dumps(hostile_models.changed(part, fields)).encode()})
            os.link(model / "open_clip_model.safetensors", broken / "open_clip_model.safetensors")
            self.add("eval zero-shot", f"a configuration's {name}", zero_shot(broken), {5})

    def sets(self):
        folder = self.folder / "sets"
        hostile_files.write(folder, hostile_files.evaluation_sets(hostile_images.noise()) | hostile_files.pickles())
        for path in sorted(folder.iterdir()):
            good = {0} if path.name in ("classes", "table") else {0, 2, 4}
            path = path / "huge.csv" if path.name == "table" else path
            self.add("eval zero-shot", path.name, ["eval", "zero-shot", "--model", "model", "--dataset", path, "--no-classifier-cache"], good)
            self.add("contamination", f"set {path.name}", ["contamination", "--corpus", self.folder / "loops/0", "--eval", f"x={path}", "--out", f"out/s_{path.name}"], good | {0, 2})
        hostile_files.write(self.folder / "features", hostile_files.features())
        self.add("eval linear-probe", "a label of 999999999999", ["eval", "linear-probe", "--features", self.folder / "features"], {2})


def main():
    executable, *patterns = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="clip-data-hostile-") as name:
        folder = pathlib.Path(name)
        (folder / "out").mkdir()
        site = hostile_site.Site(hostile_images.noise())
        cases = Cases(folder, executable, site)
        for make in [cases.models, cases.sets, cases.images, cases.loops, cases.lists, cases.web, cases.shards, cases.tables]:
            make()
        chosen = [case for case in cases.all if not patterns or any(p in f"{case[0]} {case[1]}" for p in patterns)]
        print(f"{'command':18}{'input':34}{'exit code':>10}{'peak MB':>9}{'seconds':>9}")
        failed = []
        for command, label, argv, codes in chosen:
            site.robots = label.removeprefix("robots.txt of ") if label.startswith("robots.txt of ") else ""
            code, peak, seconds, output, why = run(argv, folder)
            panicked = b"panicked at" in output
            wrong = why or ("panicked" if panicked else "") or ("" if code in codes else f"not one of {sorted(codes)}")
            print(f"{command:18}{label:34.33}{code:>10}{peak / 1e6:>9.0f}{seconds:>9.1f}  {wrong}", flush=True)
            if wrong:
                failed.append((command, label, argv, code, wrong, output))
        for command, label, argv, code, wrong, output in failed:
            shown = output.decode(errors="backslashreplace")[-1500:].encode("unicode_escape").decode().replace("\\n", "\n    ")
            print(f"\n{command} on {label}: exit code {code}, {wrong}\n  {' '.join(argv)}\n    {shown}")
        print(f"\n{len(chosen)} cases, {len(failed)} failed")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
