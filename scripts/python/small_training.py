"""The small model and the batches that the oracles of training share; the tests have the same formulas."""

import numpy as np
import torch

BATCH, SIDE, VOCABULARY, CONTEXT = 8, 16, 32, 16
CONFIG = dict(
    embed_dim=8,
    quick_gelu=True,
    vision_cfg=dict(image_size=SIDE, layers=1, width=8, patch_size=8, head_width=8),
    text_cfg=dict(context_length=CONTEXT, vocab_size=VOCABULARY, width=8, heads=2, layers=1),
)


def batch(step):
    """Bytes by a multiplicative hash of their place, and short texts."""
    place = np.arange(BATCH * SIDE * SIDE * 3, dtype=np.uint64) + np.uint64(step * 1_000_003)
    pixels = ((place * np.uint64(2654435761)) % np.uint64(2**32) >> np.uint64(24)).astype(np.uint8)
    texts = np.zeros((BATCH, CONTEXT), dtype=np.int64)
    for row in range(BATCH):
        length = 3 + (step * 5 + row * 3) % 10
        texts[row, 0], texts[row, length] = VOCABULARY - 2, VOCABULARY - 1
        texts[row, 1:length] = [1 + (step * 17 + row * 29 + at * 7) % (VOCABULARY - 3) for at in range(1, length)]
    return torch.from_numpy(pixels.reshape(BATCH, SIDE, SIDE, 3)), torch.from_numpy(texts)
