"""open_clip's trainer in several processes on processors, where it names devices that DDP does not take there."""

import functools
import sys

import torch
from open_clip_train.main import main

ddp = torch.nn.parallel.DistributedDataParallel
torch.nn.parallel.DistributedDataParallel = functools.wraps(ddp)(lambda model, device_ids=None, **others: ddp(model, **others))
main(sys.argv[1:])
