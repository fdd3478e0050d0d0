"""open_clip's training, and then the most memory that its tensors had on the GPU at a time."""

import sys

import torch
from open_clip_train.main import main

main(sys.argv[1:])
print(f"at most {torch.cuda.max_memory_allocated() // 2**20} MiB of GPU memory")
