"""Processor time of linear maps by torch's MKL and by oneDNN with packed weights, as the encoders compute them.

Run by scripts/bench_linear. One thread and its processor time, so that other work on the machine matters little; the
least of some repetitions of each, alternating.
"""
import argparse
import json
import time

import torch

arguments = argparse.ArgumentParser()
arguments.add_argument("--rounds", type=int, default=5)
a = arguments.parse_args()
torch.set_num_threads(1)
linear, packed_linear = torch.nn.functional.linear, torch.ops.mkldnn._linear_pointwise
print(json.dumps({"torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}))


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


# Rows of 64 images of 50 tokens or of 64 texts of 77, inputs, outputs.
SIZES = [(3200, 768, 2304), (3200, 768, 768), (3200, 768, 3072), (3200, 3072, 768),
         (4928, 512, 1536), (4928, 512, 512), (4928, 512, 2048), (4928, 2048, 512)]
with torch.inference_mode():
    for rows, inputs, outputs in SIZES:
        x, weight, bias = torch.randn(rows, inputs), torch.randn(outputs, inputs) / inputs**0.5, torch.randn(outputs)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        works = {
            "mkl": lambda: linear(x, weight, bias),
            "onednn": lambda: packed_linear(x, packed, bias, "none", [], ""),
        }
        least = dict.fromkeys(works, float("inf"))
        for _ in range(a.rounds + 1):
            for name, work in works.items():
                least[name] = min(least[name], seconds(work))
        apart = (works["mkl"]() - works["onednn"]()).abs().max().item()
        print(json.dumps({
            "rows": rows, "inputs": inputs, "outputs": outputs, "difference": apart,
            **{f"{name}_ms": round(1e3 * value, 1) for name, value in least.items()},
            "ratio": round(least["onednn"] / least["mkl"], 2),
        }), flush=True)
