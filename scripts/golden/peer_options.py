"""Options of the tools that docs/coming-from.md compares with: tests/it/peer_options.json.

    python3 scripts/golden/peer_options.py DATACOMP

Reads the sources of pinned versions, which pip downloads and nothing runs; DATACOMP is a checkout of
https://github.com/mlfoundations/datacomp at the commit that scripts/datacomp.sh names.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

OUT = Path(__file__).parents[2] / "tests/it/peer_options.json"
# Tool: package, version, file.
WHEELS = {
    "img2dataset": ("img2dataset", "1.47.0", "img2dataset/main.py"),
    "open_clip": ("open_clip_torch", "3.3.0", "open_clip_train/params.py"),
    "CLIP_benchmark": ("clip-benchmark", "1.6.2", "clip_benchmark/cli.py"),
}
DATACOMP = ("baselines", "resharder", "train", "evaluate", "download_upstream")


def source(package, version, file, folder):
    """The text of a file of a wheel."""
    command = ["download", "--quiet", "--no-deps", "--dest", folder, f"{package}=={version}"]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    (wheel,) = Path(folder).glob(f"{package.replace('-', '_')}-*.whl")
    return zipfile.ZipFile(wheel).read(file).decode()


def declared(text):
    """Options of argparse."""
    return sorted(set(re.findall(r"""['"](--?[A-Za-z][\w-]*)['"]""", text)))


def of_fire(text):
    """Options that Python Fire makes of the arguments of `download`."""
    arguments = re.search(r"def download\((.*?)\):", text, re.DOTALL).group(1)
    return sorted(f"--{name}" for name in re.findall(r"(\w+)\s*:", arguments))


def main():
    options = {}
    with tempfile.TemporaryDirectory() as folder:
        for tool, (package, version, file) in WHEELS.items():
            text = source(package, version, file, folder)
            options[tool] = of_fire(text) if tool == "img2dataset" else declared(text)
    datacomp = Path(sys.argv[1])
    found = (declared((datacomp / f"{name}.py").read_text()) for name in DATACOMP)
    options["DataComp"] = sorted(set().union(*found))
    OUT.write_text(json.dumps(options, indent=1) + "\n")


main()
