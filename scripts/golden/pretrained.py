"""open_clip's names of weights of the paper's models, with their repositories: crates/clip-model/data/pretrained.tsv.

scripts/golden/clip-venv has the interpreter.
"""

import open_clip
from open_clip.pretrained import _PRETRAINED

MODELS = "RN50 RN101 RN50x4 RN50x16 RN50x64 ViT-B-32 ViT-B-16 ViT-L-14 ViT-L-14-336".split()
rows = {}
for model in MODELS:
    for name in (model, f"{model}-quickgelu"):
        for tag, cfg in _PRETRAINED.get(name, {}).items():
            # What the cfg has beside open_clip's default.
            same = tuple(cfg.get("mean", ())) in ((), open_clip.OPENAI_DATASET_MEAN)
            pixels = "" if same else f"{cfg['mean'][0]} {cfg['std'][0]}"
            assert same or (len(set(cfg["mean"])), len(set(cfg["std"]))) == (1, 1)
            assert cfg.get("interpolation", "bicubic") == "bicubic" and cfg.get("resize_mode", "shortest") == "shortest"
            quick = "quickgelu" if cfg.get("quick_gelu") else ""
            rows[model, tag] = "\t".join((model, tag, cfg["hf_hub"].strip("/"), quick, pixels))
with open("crates/clip-model/data/pretrained.tsv", "w") as file:
    file.write(f"# open_clip {open_clip.__version__}, by scripts/golden/pretrained.py: model, name, repository, activation, mean and std\n")
    file.writelines(row + "\n" for row in rows.values())
