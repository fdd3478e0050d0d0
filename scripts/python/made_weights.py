"""Weights and inputs that are a formula of their names, the same on every machine."""
import numpy as np


def noise(name, shape):
    """Uniform in [-0.5, 0.5), the same on every machine: murmur's finaliser over an index and FNV-1a of the name."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.arange(int(np.prod(shape)), dtype=np.uint64) * 2654435761 + seed) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = ((x ^ (x >> np.uint64(shift))) * factor) & 0xFFFFFFFF
    return (x.astype(np.float64) / 2**32 - 0.5).reshape(shape)


def weight(name, shape):
    u = noise(name, shape)
    if name == "logit_scale":
        return np.array(2.5)
    if name.endswith("num_batches_tracked"):
        return np.array(3)
    if name.endswith("running_var"):
        return 1.0 + u
    if len(shape) == 1:
        return 1.0 + 0.4 * u if name.endswith("weight") else 0.4 * u
    if name.endswith("embedding") or name.endswith("embedding.weight"):
        return u
    fan_in = shape[0] if name.endswith("proj") else int(np.prod(shape[1:]))
    return u * (12.0 / fan_in) ** 0.5
