# torchvision's dataset classes over small trees in the authors' layouts: which files, rows and pixels are items, and of which class.
# requires: torch==2.11.0 torchvision==0.26.0 numpy==2.3.5 scipy==1.17.1 h5py==3.15.1 pycocotools==2.0.11 pillow==13.0.0
#
# Writes crates/clip-datasets/tests/golden/oracle/loaders.json. A tree is path -> content: null where the content is
# the path itself (an image file that is never decoded), else zlib in hexadecimal. An item is
# [path or row, class, captions or null]; array sets have their pixels too (rows x columns x channels, zlib).
#
# torchvision compares the archives' md5 sums; the small files here have others, so `check_integrity` is replaced by
# "the file is there", and the ImageNet archives' check by nothing. Videos are not decoded: VideoClips is replaced by
# a class that keeps the list of files.
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import tempfile
import zlib

import h5py
import numpy as np
import torchvision
from scipy.io import savemat
from torchvision import datasets

OUT = "crates/clip-datasets/tests/golden/oracle/loaders.json"
VERSION = torchvision.__version__.split("+")[0]
WORK = tempfile.mkdtemp()


class Clips:
    def __init__(self, files, *args, **kwargs):
        self.files = files

    def subset(self, indices):
        return Clips([self.files[i] for i in indices])


for module in ("cifar", "svhn", "stl10", "fer2013", "flowers102", "mnist"):
    getattr(datasets, module).check_integrity = lambda path, md5=None: os.path.isfile(path)
datasets.imagenet._verify_archive = lambda *args: None
datasets.ucf101.VideoClips = datasets.kinetics.VideoClips = Clips

cases = []


def packed(data):
    return zlib.compress(bytes(data), 9).hex()


def build(name, files):
    """Writes a tree: None is a file with its own path in it."""
    root = os.path.join(WORK, name)
    for path, content in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(path.encode() if content is None else content)
    return root


def add(what, dataset, files, roots, parts, wrong, **more):
    """parts: part -> items. wrong: the likeliest mistake, and by how much it differs."""
    about, by = wrong
    assert by > 1e-3, (what, about, by)
    cases.append({
        "what": what, "set": dataset, "roots": roots, "parts": parts, "wrong": about, "wrong_by": round(by, 4), **more,
        "tree": {path: None if content is None else packed(content) for path, content in files.items()},
    })


def apart(items, others):
    """The share of (file, class) pairs that only one of two lists has."""
    a, b = ({(i[0], i[1]) for i in list} for list in (items, others))
    return 1 - len(a & b) / len(a | b)


def folders(files, prefix):
    """A tree read as a folder of images a class, whatever its lists say."""
    images = [path for path in files if files[path] is None and path.startswith(prefix)]
    return [[path, path.split("/")[-2], None] for path in images]


def listed(root, paths, names):
    return [[os.path.relpath(path, root), str(name), None] for path, name in zip(paths, names)]


# Images and labels of array sets: n, y, x and c all change the value, so that no axis can be taken for another.
def pixels(count, side, channels, seed):
    n, y, x, c = np.ogrid[0:count, 0:side, 0:side, 0:channels]
    return ((11 * n + 5 * y + 3 * x + 60 * c + seed) % 256).astype(np.uint8)


def arrays(images, labels):
    images = np.ascontiguousarray(images)
    turned = np.swapaxes(images, 1, 2)
    return (
        {"items": [[row, str(label), None] for row, label in enumerate(labels)], "pixels": packed(images.tobytes()),
         "shape": list(images.shape)},
        float(np.mean(images != turned)),
    )


# Food-101, DTD, SUN397, Aircraft, Pets: lists.
def food():
    test = {"waffles": ["waffles/1", "waffles/2", "waffles/3"], "apple_pie": ["apple_pie/9"], "sushi": []}
    train = {"waffles": ["waffles/4"], "apple_pie": ["apple_pie/8", "apple_pie/7"], "sushi": []}
    files = {f"food-101/images/{p}.jpg": None for part in (test, train) for v in part.values() for p in v}
    for name, part in (("test", test), ("train", train)):
        files[f"food-101/meta/{name}.json"] = json.dumps(part).encode()
        files[f"food-101/meta/{name}.txt"] = "".join(f"{p}\n" for v in part.values() for p in v).encode()
    files["food-101/meta/classes.txt"] = b"apple_pie\nsushi\nwaffles\n"
    root = build("food", files)
    parts = {}
    for name in ("train", "test"):
        d = datasets.Food101(root, split=name)
        parts[name] = {"items": listed(root, d._image_files, [d.classes[i] for i in d._labels])}
    wrong = apart(parts["test"]["items"], folders(files, "food-101/images/"))
    add("Food101", "food101", files, ["", "food-101"], parts, ("both parts as one folder a class", wrong), same=True)


def dtd():
    lists = {"train": ["banded/b1", "zigzagged/z1", "zigzagged/z2"], "val": ["banded/b2"],
             "test": ["zigzagged/z3", "banded/b3", "zigzagged/z4", "zigzagged/z5"]}
    files = {f"dtd/dtd/images/{p}.jpg": None for v in lists.values() for p in v}
    for name, part in lists.items():
        files[f"dtd/dtd/labels/{name}1.txt"] = "".join(f"{p}.jpg\n" for p in part).encode()
        files[f"dtd/dtd/labels/{name}2.txt"] = b"banded/b1.jpg\n"
    root = build("dtd", files)
    parts = {}
    for name in lists:
        d = datasets.DTD(root, split=name)
        parts[name] = {"items": listed(root, d._image_files, [d.classes[i] for i in d._labels])}
    wrong = apart(parts["test"]["items"], folders(files, "dtd/dtd/images/"))
    add("DTD, partition 1", "dtd", files, ["", "dtd", "dtd/dtd"], parts, ("all parts as one", wrong), same=True)


def sun():
    test = ["/a/abbey/sun_a.jpg", "/a/apartment_building/outdoor/sun_b.jpg", "/a/abbey/sun_c.jpg"]
    train = ["/a/abbey/sun_d.jpg", "/y/youth_hostel/sun_e.jpg"]
    names = ["/a/abbey", "/a/airport_terminal", "/a/apartment_building/outdoor", "/y/youth_hostel"]
    files = {f"SUN397{p}": None for p in test + train}
    text = lambda lines: "".join(f"{line}\n" for line in lines).encode()
    files |= {"SUN397/ClassName.txt": text(names), "SUN397/Testing_01.txt": text(test), "SUN397/Training_01.txt": text(train)}
    root = build("sun", files)
    d = datasets.SUN397(root)
    items = sorted(listed(root, d._image_files, [names[i][1:] for i in d._labels]))
    one = [[path, label.split("/")[-1], None] for path, label, _ in items]
    add("SUN397", "sun397", files, ["", "SUN397"], {"train+test": {"items": items}},
        ("the last folder alone as the class", apart(items, one)),
        differs="torchvision has all images in one; the paper scores partition 1's test list. Its names lack the letter: here with it")


def aircraft():
    lists = {"train": ["01 Falcon 900", "02 707-320"], "val": ["03 Falcon 900"],
             "test": ["04 Falcon 900", "05 Falcon 900", "06 707-320"]}
    top = "fgvc-aircraft-2013b/data"
    files = {f"{top}/images/{line.split()[0]}.jpg": None for v in lists.values() for line in v}
    for name, part in lists.items():
        files[f"{top}/images_variant_{name}.txt"] = "".join(f"{line}\n" for line in part).encode()
    files[f"{top}/variants.txt"] = b"707-320\nA300B4\nFalcon 900\n"
    root = build("aircraft", files)
    parts = {}
    for name in lists:
        d = datasets.FGVCAircraft(root, split=name)
        parts[name] = {"items": listed(root, d._image_files, [d.classes[i] for i in d._labels])}
    first = [[path, label.split()[0], None] for path, label, _ in parts["test"]["items"]]
    add("FGVCAircraft", "aircraft", files, ["", "fgvc-aircraft-2013b", top], parts,
        ("the line's second word alone as the class", apart(parts["test"]["items"], first)), same=True)


def pets():
    lists = {"trainval": ["Abyssinian_1 1 1 1", "american_bulldog_2 2 2 1"],
             "test": ["american_bulldog_10 2 2 1", "american_bulldog_11 2 2 1", "Abyssinian_12 1 1 1", "yorkshire_terrier_7 37 2 25"]}
    top = "oxford-iiit-pet"
    files = {f"{top}/images/{line.split()[0]}.jpg": None for v in lists.values() for line in v}
    for name, part in lists.items():
        files[f"{top}/annotations/{name}.txt"] = "".join(f"{line}\n" for line in part).encode()
    root = build("pets", files)
    parts = {}
    for ours, name in (("train", "trainval"), ("test", "test")):
        d = datasets.OxfordIIITPet(root, split=name)
        # With classes absent torchvision's list of names is shorter than its labels: names by label.
        names = dict(zip(sorted(set(d._labels)), d.classes))
        parts[ours] = {"items": listed(root, d._images, [names[i] for i in d._labels])}
    species = [[line.split()[0], line.split()[2], None] for line in lists["test"]]
    add("OxfordIIITPet", "pets", files, ["", top], parts,
        ("the third column, cat or dog, as the class", apart(parts["test"]["items"], species)), same=True)


# Flowers, Cars: MATLAB files.
def mat(values, **options):
    buffer = io.BytesIO()
    savemat(buffer, values, **options)
    # The header's text has the time in it.
    return b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:]


def flowers():
    labels = [77, 1, 77, 102, 1, 77, 77]
    ids = {"trnid": [2, 4], "valid": [1], "tstid": [7, 3, 5, 6]}
    files = {f"flowers-102/jpg/image_{n + 1:05d}.jpg": None for n in range(len(labels))}
    row = lambda values, kind: np.array([values], dtype=kind)
    files["flowers-102/imagelabels.mat"] = mat({"labels": row(labels, np.uint8)}, do_compression=True)
    files["flowers-102/setid.mat"] = mat({k: row(v, np.uint16) for k, v in ids.items()}, do_compression=True)
    root = build("flowers", files)
    # One image in a part is not a list for torchvision: that part is left to us.
    parts = {}
    for name in ("train", "test"):
        d = datasets.Flowers102(root, split=name)
        parts[name] = {"items": listed(root, d._image_files, d._labels)}
    off = [[path, str(int(label) + 1), None] for path, label, _ in parts["test"]["items"]]
    add("Flowers102", "flowers", files, ["", "flowers-102"], parts,
        ("labels as they are in the file, from 1", apart(parts["test"]["items"], off)))


def cars():
    names = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012"]

    def table(rows):
        kind = [(name, object) for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")]
        out = np.empty((1, len(rows)), dtype=kind)
        for at, (label, name) in enumerate(rows):
            box = [np.array([[v]], dtype=np.uint16) for v in (30, 52, 246, 147)]
            out[0, at] = (*box, np.array([[label]], dtype=np.uint8), name)
        return mat({"annotations": out}, do_compression=True)

    train, test = [(3, "00001.jpg"), (1, "00002.jpg")], [(1, "00001.jpg"), (3, "00002.jpg"), (1, "00003.jpg")]
    cells = np.empty((1, 3), dtype=object)
    cells[0] = names
    top = "stanford_cars"
    files = {f"{top}/cars_{part}/{name}": None for part, rows in (("train", train), ("test", test)) for _, name in rows}
    files |= {f"{top}/devkit/cars_train_annos.mat": table(train), f"{top}/cars_test_annos_withlabels.mat": table(test),
              f"{top}/devkit/cars_meta.mat": mat({"class_names": cells})}
    root = build("cars", files)
    parts = {}
    for name in ("train", "test"):
        d = datasets.StanfordCars(root, split=name)
        parts[name] = {"items": [[os.path.relpath(p, root), d.classes[i], None] for p, i in d._samples]}
    other = [[f"{top}/cars_train/{os.path.basename(p)}", l, None] for p, l, _ in parts["test"]["items"]]
    add("StanfordCars", "cars", files, ["", top], parts,
        ("the train part's folder of images", apart(parts["test"]["items"], other)), same=True)


# GTSRB, CLEVR, Kitti.
def gtsrb():
    rows = [("00000.ppm", 16), ("00001.ppm", 1), ("00002.ppm", 16), ("00003.ppm", 42)]
    table = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    files = {f"gtsrb/GTSRB/Final_Test/Images/{name}": None for name, _ in rows}
    files["gtsrb/GT-final_test.csv"] = (table + "".join(f"{n};53;54;6;5;48;49;{c}\n" for n, c in rows)).encode()
    files |= {f"gtsrb/GTSRB/Training/{c:05d}/00000_{n:05d}.ppm": None for c, n in ((0, 0), (1, 0), (1, 1), (2, 0))}
    root = build("gtsrb", files)
    d = datasets.GTSRB(root, split="test")
    parts = {"test": {"items": [[os.path.relpath(p, root), str(i), None] for p, i in d._samples]}}
    d = datasets.GTSRB(root, split="train")
    parts["train"] = {"items": [[os.path.relpath(p, root), str(i), None] for p, i in d._samples]}
    off = [[p, str(n), None] for n, (p, _, _) in enumerate(parts["test"]["items"])]
    add("GTSRB", "gtsrb", files, ["", "gtsrb"], parts,
        ("the number of the row as the class", apart(parts["test"]["items"], off)))


def clevr():
    counts = {"val": [3, 10, 3, 5], "train": [4, 10]}
    top = "clevr/CLEVR_v1.0"
    files = {}
    for part, numbers in counts.items():
        names = [f"CLEVR_{part}_{n:06d}.png" for n in range(len(numbers))]
        files |= {f"{top}/images/{part}/{name}": None for name in names}
        scenes = [{"image_filename": name, "objects": [{}] * n} for name, n in zip(names, numbers)]
        files[f"{top}/scenes/CLEVR_{part}_scenes.json"] = json.dumps({"scenes": scenes[::-1]}).encode()
    root = build("clevr", files)
    parts = {}
    for ours, name in (("test", "val"), ("train", "train")):
        d = datasets.CLEVRClassification(root, split=name)
        parts[ours] = {"items": listed(root, d._image_files, d._labels)}
    order = [[p, str(c), None] for (p, _, _), c in zip(parts["test"]["items"], counts["val"][::-1])]
    add("CLEVRClassification", "clevr", files, ["", "clevr", top], parts,
        ("scenes taken in the images' order", apart(parts["test"]["items"], order)))


def kitti():
    files = {}
    for n in range(3):
        files[f"Kitti/raw/training/image_2/{n:06d}.png"] = None
        files[f"Kitti/raw/training/label_2/{n:06d}.txt"] = b""
    files["Kitti/raw/testing/image_2/000009.png"] = None
    root = build("kitti", files)
    d = datasets.Kitti(root, train=True)
    items = sorted([os.path.relpath(p, root), "3", None] for p in d.images)
    everything = [[p, "3", None] for p in files if files[p] is None]
    add("Kitti, images alone", "kitti", files, ["", "Kitti/raw", "Kitti/raw/training"], {"test": {"items": items}},
        ("the part without labels too", apart(items, everything)),
        differs="torchvision gives boxes; the class is VTAB's rule over them, and a file without boxes is its last class")


# Folders a class.
def image_folder(what, dataset, top, parts, make, roots, order=None, **more):
    """order: another order of the classes, for sets of one part."""
    files = {}
    for part, classes in parts.items():
        for name, count in classes.items():
            files |= {f"{top}/{part}/{name}/{n}.png".replace("//", "/"): None for n in range(count)}
    root = build(what.split(",")[0], files)
    found = {}
    for ours, d in make(root).items():
        found[ours] = {"items": [[os.path.relpath(p, root), d.classes[i], None] for p, i in d.samples]}
    items = found["test"]["items"]
    if order:
        place = sorted({name for _, name, _ in items})
        about, wrong = "classes in another order", apart(items, [[p, order[place.index(name)], None] for p, name, _ in items])
    else:
        about, wrong = "all parts as one", apart(items, folders(files, top))
    add(what, dataset, files, roots, found, (about, wrong), **more)


def folder_sets():
    countries = {"test": {"FR": 1, "ZW": 3, "AD": 2}, "train": {"FR": 2, "AD": 1}, "valid": {"ZW": 1, "FR": 1}}
    image_folder("Country211", "country211", "country211", countries, lambda root: {
        "test": datasets.Country211(root, "test"), "train": datasets.Country211(root, "train"),
        "val": datasets.Country211(root, "valid")}, ["", "country211"])

    class Named:
        def __init__(self, d):
            self.samples, self.classes = d._samples, d.classes

    sst = {p: {"negative": n, "positive": n + 1} for p, n in (("test", 2), ("train", 3), ("valid", 1))}
    image_folder("RenderedSST2", "sst2", "rendered-sst2", sst, lambda root: {
        p: Named(datasets.RenderedSST2(root, p)) for p in ("test", "train", "val")}, ["", "rendered-sst2"], same=True)
    image_folder("EuroSAT", "eurosat", "eurosat/2750", {"": {"River": 2, "AnnualCrop": 1, "SeaLake": 3}},
                 lambda root: {"test": datasets.EuroSAT(root)}, ["", "eurosat", "eurosat/2750"], ["River", "SeaLake", "AnnualCrop"],
                 differs="torchvision has no parts; the paper's split is not published, so all images are the test part")
    image_folder("ImageFolder", None, "anything", {"": {"b": 2, "a": 1, "Z": 3}},
                 lambda root: {"test": datasets.ImageFolder(root + "/anything")}, ["anything"], ["a", "b", "Z"])


def caltech():
    files = {}
    for name, count in (("BACKGROUND_Google", 2), ("Faces", 1), ("accordion", 3), ("yin_yang", 2)):
        files |= {f"caltech101/101_ObjectCategories/{name}/image_{n + 1:04d}.jpg": None for n in range(count)}
        files[f"caltech101/Annotations/{name}/annotation_0001.mat"] = b"x"
    root = build("caltech", files)
    d = datasets.Caltech101(root)
    names = [d.categories[i] for i in d.y]
    paths = [f"caltech101/101_ObjectCategories/{c}/image_{n:04d}.jpg" for c, n in zip(names, d.index)]
    items = [[p, c, None] for p, c in zip(paths, names)]
    off = [[p, ("BACKGROUND_Google", *d.categories)[i], None] for p, i in zip(paths, d.y)]
    add("Caltech101", "caltech101", files, ["", "caltech101", "caltech101/101_ObjectCategories"], {"test": {"items": items}},
        ("its label as an index into names with the background", apart(items, off)), without="BACKGROUND_Google",
        differs="torchvision leaves out BACKGROUND_Google, which is a class of the paper's and VTAB's 102; compared without its images")


def imagenet():
    wnids = ["n01440764", "n01443537", "n15075141"]
    truth = [2, 3, 2, 1, 2]
    kind = [(n, object) for n in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    synsets = np.empty((4, 1), dtype=kind)
    # The kit's numbers are not in the order of the ids; the last is a node above.
    rows = [(1, wnids[2], "toilet tissue", 0), (2, wnids[0], "tench, Tinca tinca", 0), (3, wnids[1], "goldfish", 0), (4, "n00001740", "entity", 3)]
    for at, (number, wnid, words, children) in enumerate(rows):
        number, children = (np.array([[v]], dtype=np.int16) for v in (number, children))
        synsets[at, 0] = (number, wnid, words, words, children)
    kit = "ILSVRC2012_devkit_t12/data"
    files = {f"val/ILSVRC2012_val_{n + 1:08d}.JPEG": None for n in range(len(truth))}
    files[f"{kit}/meta.mat"] = mat({"synsets": synsets}, do_compression=True)
    files[f"{kit}/ILSVRC2012_validation_ground_truth.txt"] = "".join(f"{n}\n" for n in truth).encode()
    flat = build("imagenet_flat", files)
    root = os.path.join(WORK, "imagenet")
    os.makedirs(root)
    with tarfile.open(f"{root}/ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        tar.add(f"{flat}/ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    with tarfile.open(f"{root}/ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted(os.listdir(f"{flat}/val")):
            tar.add(f"{flat}/val/{path}", path)
    d = datasets.ImageNet(root, split="val")
    sorted_items = [[os.path.relpath(p, root), d.wnids[i], None] for p, i in d.samples]
    items = sorted([f"val/{os.path.basename(p)}", w, None] for p, w, _ in sorted_items)
    order = [[f"val/ILSVRC2012_val_{n + 1:08d}.JPEG", sorted(wnids)[t - 1], None] for n, t in enumerate(truth)]
    add("ImageNet val, flat with the development kit", "imagenet", files, [""], {"test": {"items": items}},
        ("the kit's numbers as the order of WordNet ids", apart(items, order)))
    add("ImageNet val, sorted by torchvision", "imagenet", {p: None for p, _, _ in sorted_items}, ["", "val"],
        {"test": {"items": sorted_items}}, ("the kit's numbers as the order of WordNet ids", apart(items, order)))


# Arrays.
class Python2(pickle._Pickler):
    """Writes text and bytes as Python 2's cPickle did, and NumPy's functions under the names of its time."""

    dispatch = dict(pickle._Pickler.dispatch)

    def text(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = text

    def save_global(self, value, name=None):
        if getattr(value, "__name__", "") == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            self.memoize(value)
        else:
            super().save_global(value, name)


def cpickle(value):
    buffer = io.BytesIO()
    Python2(buffer, 2).dump(value)
    return buffer.getvalue()


def cifar(python, dataset, classes, folder, train, test, key, meta, dump=cpickle, what=""):
    files, seed = {}, 0
    sizes = {name: 2 if at % 2 else 1 for at, name in enumerate(train)} | {test: 4}
    for name, count in sizes.items():
        seed += 40
        data = pixels(count, 32, 3, seed).transpose(0, 3, 1, 2).reshape(count, 3072)
        labels = [(seed + 7 * n) % (classes - 1) for n in range(count)]
        files[f"{folder}/{name}"] = dump({"batch_label": name, key: labels, "coarse_labels": [1] * count, "data": data, "filenames": [f"{n}.png" for n in range(count)]})
    names = json.load(open("crates/clip-datasets/data/prompts_openai.json"))[dataset]["classes"]
    files[f"{folder}/{meta[0]}"] = dump({meta[1]: [name.replace(" ", "_") for name in names]})
    root = build(dataset + what, files)
    parts = {}
    for name in ("test", "train"):
        d = python(root, train=name == "train")
        parts[name], by = arrays(d.data, [d.classes[i] for i in d.targets])
    add(python.__name__ + what, dataset, files, ["", folder], parts, ("columns for rows", by), same=True)


def svhn():
    files = {}
    for part, labels, pack in (("test", [10, 1, 9, 10, 5], True), ("train", [3, 10, 3], False)):
        images = pixels(len(labels), 32, 3, len(part)).transpose(1, 2, 3, 0)
        files[f"{part}_32x32.mat"] = mat({"X": images, "y": np.array([labels], dtype=np.uint8).T}, do_compression=pack)
    root = build("svhn", files)
    parts = {}
    for part in ("test", "train"):
        d = datasets.SVHN(root, split=part)
        parts[part], by = arrays(d.data.transpose(0, 2, 3, 1), d.labels)
    add("SVHN", "svhn", files, [""], parts, ("columns for rows", by))


def stl10():
    images, labels = pixels(3, 96, 3, 1), [10, 1, 10]
    column = images.transpose(0, 3, 2, 1).tobytes()
    top = "stl10_binary"
    files = {f"{top}/test_X.bin": column, f"{top}/test_y.bin": bytes(labels), f"{top}/train_X.bin": column,
             f"{top}/train_y.bin": bytes([2, 3, 2]), f"{top}/unlabeled_X.bin": b"",
             f"{top}/class_names.txt": b"airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n",
             f"{top}/fold_indices.txt": b"0 2 \n1 \n"}
    root = build("stl10", files)
    d = datasets.STL10(root, split="test")
    part, by = arrays(d.data.transpose(0, 2, 3, 1), [d.classes[i] for i in d.labels])
    add("STL10", "stl10", files, ["", top], {"test": part}, ("columns for rows", by), same=True)


def digits():
    files = {}
    for folder, seed in (("MNIST", 3), ("FashionMNIST", 90)):
        for part, count in (("train", 2), ("t10k", 4)):
            images = pixels(count, 28, 1, seed)
            labels = bytes((seed + 3 * n) % 9 for n in range(count))
            files[f"{folder}/raw/{part}-images-idx3-ubyte"] = struct.pack(">4i", 0x803, count, 28, 28) + images.tobytes()
            files[f"{folder}/raw/{part}-labels-idx1-ubyte"] = struct.pack(">2i", 0x801, count) + labels
    root = build("digits", files)
    for python, name, top in ((datasets.MNIST, "mnist", "MNIST"), (datasets.FashionMNIST, "fashion-mnist", "FashionMNIST")):
        parts = {}
        for part in ("test", "train"):
            d = python(root, train=part == "train")
            names = d.targets.tolist() if name == "mnist" else [d.classes[i] for i in d.targets.tolist()]
            parts[part], by = arrays(d.data.numpy()[..., None], names)
        add(f"{top}, both in one root", name, files, ["", top, f"{top}/raw"], parts, ("columns for rows", by))


def fer():
    rows = [(0, "Training"), (6, "PrivateTest"), (3, "PublicTest"), (6, "PrivateTest"), (4, "Training"), (1, "PrivateTest")]
    images = pixels(len(rows), 48, 1, 9)
    text = [" ".join(map(str, image.ravel())) for image in images]
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    tables = {
        "fer2013.csv": "emotion,pixels,Usage\n" + "".join(f"{e},{t},{u}\n" for (e, u), t in zip(rows, text)),
        "icml_face_data.csv": "emotion, Usage, pixels\n" + "".join(f"{e},{u},{t}\n" for (e, u), t in zip(rows, text)),
        "train.csv": "emotion,pixels\n" + "".join(f"{e},{t}\n" for (e, u), t in zip(rows, text) if u == "Training"),
    }
    for table, content in tables.items():
        files = {f"fer2013/{table}": content.encode()}
        root = build(table, files)
        parts = {}
        for ours, part in (("train", "train"), ("val+test", "test")):
            if part == "test" and table == "train.csv":
                continue
            d = datasets.FER2013(root, part)
            parts[ours], by = arrays(np.stack([i.numpy() for i, _ in d._samples])[..., None], [names[l] for _, l in d._samples])
        more = {} if table == "train.csv" else {"differs": "torchvision's test is PublicTest and PrivateTest together; here the first is the part to choose on, the second the one that is scored"}
        add(f"FER2013, {table}", "fer2013", files, ["", "fer2013"], parts, ("columns for rows", by), unordered=True, **more)


def pcam():
    files = {}
    for part, labels in (("test", [0, 1, 1]), ("valid", [1, 0])):
        for axis in "xy":
            buffer = io.BytesIO()
            with h5py.File(buffer, "w") as file:
                if axis == "x":
                    file.create_dataset("x", data=pixels(len(labels), 96, 3, len(part)), chunks=(1, 96, 96, 3), compression="gzip")
                else:
                    file.create_dataset("y", data=np.array(labels, dtype=np.uint8).reshape(-1, 1, 1, 1))
            files[f"pcam/camelyonpatch_level_2_split_{part}_{axis}.h5"] = buffer.getvalue()
    root = build("pcam", files)
    parts = {}
    for part in ("test", "val"):
        d = datasets.PCAM(root, split=part)
        found = [d[i] for i in range(len(d))]
        parts[part], by = arrays(np.stack([np.asarray(i) for i, _ in found]), [l for _, l in found])
    add("PCAM", "pcam", files, ["", "pcam"], parts, ("columns for rows", by), index=True)


# Marks, captions, videos.
def voc():
    top = "VOCdevkit/VOC2007"
    objects = {"000001": [("dog", 0), ("person", 1)], "000002": [("person", 0), ("person", 1), ("sofa", 0)], "000004": [("cat", 1)]}
    names = ["aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"]
    files = {f"{top}/ImageSets/Main/test.txt": "".join(f"{i}\n" for i in objects).encode()}
    for image, found in objects.items():
        files[f"{top}/JPEGImages/{image}.jpg"] = None
        boxes = "".join(f"<object><name>{n}</name><difficult>{d}</difficult></object>" for n, d in found)
        files[f"{top}/Annotations/{image}.xml"] = f"<annotation><filename>{image}.jpg</filename>{boxes}</annotation>".encode()
    for name in names:
        lines = []
        for image, found in objects.items():
            flags = [d for n, d in found if n == name]
            lines.append(f"{image} {-1 if not flags else 1 if 0 in flags else 0:2d}\n")
        files[f"{top}/ImageSets/Main/{name}_test.txt"] = "".join(lines).encode()
    root = build("voc", files)
    d = datasets.VOCDetection(root, year="2007", image_set="test")
    items, hard = [], []
    for path, target in zip(d.images, d.annotations):
        tree = d.parse_voc_xml(datasets.voc.ET_parse(target).getroot())["annotation"]["object"]
        marks = {}
        for found in tree:
            marks.setdefault(found["name"], []).append(int(found["difficult"]))
        for name, flags in sorted(marks.items()):
            items.append([os.path.relpath(path, root), name, 1 if 0 in flags else 0])
            hard.append([os.path.relpath(path, root), name, 1])
    wrong = sum(a != b for a, b in zip(items, hard)) / len(items)
    add("VOCDetection 2007", "voc2007", files, ["", "VOCdevkit", top], {"test": {"items": items}},
        ("difficult objects as present", wrong))


def captions():
    images = [{"id": 9, "file_name": "b.jpg"}, {"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "c.jpg"}]
    notes = [{"id": 1, "image_id": 9, "caption": "one"}, {"id": 2, "image_id": 7, "caption": "two"}, {"id": 3, "image_id": 9, "caption": "three, four"}]
    files = {f"val2017/{i['file_name']}": None for i in images}
    files["annotations/captions_val2017.json"] = json.dumps({"images": images, "annotations": notes}).encode()
    root = build("coco", files)
    d = datasets.CocoCaptions(root + "/val2017", root + "/annotations/captions_val2017.json")
    paths = [d.coco.loadImgs(i)[0]["file_name"] for i in d.ids]
    items = [[f"val2017/{p}", "", d._load_target(i)] for p, i in zip(paths, d.ids)]
    order = [[f"val2017/{i['file_name']}", "", None] for i in images]
    wrong = sum(a[0] != b[0] for a, b in zip(items, order)) / len(items)
    add("CocoCaptions", None, files, [""], {"test": {"items": [i for i in items if i[2]]}},
        ("captions by the place of the image in the list", wrong), layout="coco",
        differs="an image without captions is no item of retrieval: one of torchvision's is left out")

    lines = ["b.jpg#0\tA dog, running\n", "b.jpg#1\tB\n", "a.jpg#0\tC | D\n"]
    files = {"flickr30k-images/a.jpg": None, "flickr30k-images/b.jpg": None, "results_20130124.token": "".join(lines).encode()}
    root = build("flickr", files)
    d = datasets.Flickr30k(root + "/flickr30k-images", root + "/results_20130124.token")
    items = [[f"flickr30k-images/{i}", "", d.annotations[i]] for i in d.ids]
    add("Flickr30k", "flickr30k", files, [""], {"test": {"items": items}},
        ("one caption an image", 1 - len(items) / len(lines)), layout="flickr30k-all",
        differs="torchvision has all images; flickr30k alone is Karpathy's test part, and this file does not name it")


def videos():
    videos = {"ApplyEyeMakeup": ["v_ApplyEyeMakeup_g01_c01", "v_ApplyEyeMakeup_g08_c01"], "YoYo": ["v_YoYo_g01_c01", "v_YoYo_g01_c02", "v_YoYo_g08_c01"]}
    ours, theirs = {}, {}
    for c, names in videos.items():
        ours |= {f"frames/{c}/{name}.jpg": None for name in names}
        theirs |= {f"UCF-101/{c}/{name}.avi": b"x" for name in names}
    lines = lambda group: [f"{c}/{n}.avi" for c, names in videos.items() for n in names if group in n]
    lists = {"ucfTrainTestlist/testlist01.txt": "".join(f"{l}\n" for l in lines("_g01_")).encode(),
             "ucfTrainTestlist/trainlist01.txt": "".join(f"{l} {1 + list(videos).index(l.split('/')[0])}\n" for l in lines("_g08_")).encode(),
             "ucfTrainTestlist/classInd.txt": b"1 ApplyEyeMakeup\n2 YoYo\n"}
    root = build("ucf", theirs | lists)
    parts = {}
    for name in ("test", "train"):
        d = datasets.UCF101(root + "/UCF-101", root + "/ucfTrainTestlist", frames_per_clip=1, train=name == "train")
        found = [d.samples[i] for i in d.indices]
        frame = lambda p: os.path.relpath(p, root).replace("UCF-101", "frames").replace(".avi", ".jpg")
        parts[name] = {"items": [[frame(p), d.classes[i], None] for p, i in found]}
    wrong = apart(parts["test"]["items"], folders(ours, "frames/"))
    add("UCF101, its lists", "ucf101", ours | lists, [""], parts, ("all videos as one part", wrong), same=True,
        differs="torchvision decodes videos; here a frame of each was taken before")

    videos = {"abseiling": 2, "zumba": 3}
    theirs = {f"val/{c}/{c}_{n}.mp4": b"x" for c, count in videos.items() for n in range(count)}
    theirs |= {f"train/{c}/{c}_{n}.mp4": b"x" for c, count in videos.items() for n in (7,)}
    root = build("kinetics", theirs)
    frame = lambda p: "frames/" + os.path.relpath(p, root).replace(".mp4", ".jpg")
    parts = {}
    for ours, part in (("test", "val"), ("train", "train")):
        d = datasets.Kinetics(root, frames_per_clip=1, split=part)
        parts[ours] = {"items": [[frame(p), d.classes[i], None] for p, i in d.samples]}
    files = {frame(os.path.join(root, p)): None for p in theirs}
    add("Kinetics, its folders", "kinetics700", files, [""], parts,
        ("both parts as one", apart(parts["test"]["items"], folders(files, "frames/"))), same=True,
        differs="torchvision decodes videos; here a frame of each was taken before")


food(), dtd(), sun(), aircraft(), pets(), flowers(), cars(), gtsrb(), clevr(), kitti(), folder_sets(), caltech(), imagenet()
cifar(datasets.CIFAR10, "cifar10", 10, "cifar-10-batches-py", [f"data_batch_{n}" for n in range(1, 6)], "test_batch", "labels", ("batches.meta", "label_names"))
cifar(datasets.CIFAR10, "cifar10", 10, "cifar-10-batches-py", [f"data_batch_{n}" for n in range(1, 6)], "test_batch", "labels", ("batches.meta", "label_names"),
      lambda value: pickle.dumps(value, 4), ", written again by Python 3")
cifar(datasets.CIFAR100, "cifar100", 100, "cifar-100-python", ["train"], "test", "fine_labels", ("meta", "fine_label_names"))
svhn(), stl10(), digits(), fer(), pcam(), voc(), captions(), videos()
shutil.rmtree(WORK)
os.makedirs(os.path.dirname(OUT), exist_ok=True)
with open(OUT, "w") as file:
    file.write('{"program": "torchvision %s", "cases": [\n' % VERSION + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
print(f"{len(cases)} cases, {os.path.getsize(OUT)} bytes: {OUT}")
