# The labels that other packages give to the classes of the paper's datasets, and the class of OpenAI's prompts for each.
# requires: --no-deps torchvision==0.26.0 tensorflow-datasets==4.9.9 mmpretrain==1.2.0 clip-benchmark==1.6.2 timm==1.0.31 pycountry==26.2.16
"""Lists are read from the packages' files without importing them. A label means the class of the same letters and digits,
or the class at the same index where the package's list is the prompts' list with some names written differently (that it
is so is checked), or what AGREED says. Written are, for each list, its labels and the index of the class of each.

The nearest wrong formula is a position: the first label in string order is the first class."""

import ast
import json
import pathlib
from importlib import metadata

OUT = pathlib.Path("crates/clip-datasets/tests/golden/oracle/labels.json")
DATA = pathlib.Path("crates/clip-datasets/data")

# Labels of no list in these packages. FER2013: the folders of Kaggle's msambare/fer2013, in the order of the csv's numbers.
FEELINGS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
# Country211's codes whose names ISO 3166-1 writes differently, or does not have (Kosovo).
CODES = {
    "Aland Islands": "AX", "Bonaire, Saint Eustatius and Saba": "BQ", "DR Congo": "CD", "Cote d'Ivoire": "CI",
    "Curacao": "CW", "Falkland Islands": "FK", "Faeroe Islands": "FO", "South Georgia and South Sandwich Is.": "GS",
    "St. Kitts and Nevis": "KN", "St. Lucia": "LC", "Saint-Martin": "MF", "Macedonia": "MK", "Macau": "MO",
    "Palestine": "PS", "Reunion": "RE", "Russia": "RU", "St. Helena": "SH", "Svalbard and Jan Mayen Islands": "SJ",
    "Sint Maarten": "SX", "Turkey": "TR", "Vatican": "VA", "United States Virgin Islands": "VI", "Kosovo": "XK",
}  # fmt: skip


def path(package, file):
    return pathlib.Path(metadata.distribution(package).locate_file(file))


def source(package, what):
    return f"{package} {metadata.version(package)}, {what}"


def lines(package, file):
    return [line.strip() for line in path(package, file).read_text().splitlines() if line.strip()]


def constant(package, file, name):
    """A list that a module or one of its classes assigns to a name."""
    for node in ast.walk(ast.parse(path(package, file).read_text())):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if getattr(target, "id", getattr(target, "attr", None)) == name:
                    return list(ast.literal_eval(node.value))
    raise SystemExit(f"{package}: no {name} in {file}")


def plain(name):
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def first(names):
    return names if isinstance(names, str) else names[0]


OPENAI = {
    key: [first(names) for names in entry["classes"]]
    for key, entry in json.loads((DATA / "prompts_openai.json").read_text()).items()
    if "classes" in entry
}
THEIRS = json.loads(path("clip-benchmark", "clip_benchmark/datasets/en_classnames.json").read_text())


def by_name(labels, classes):
    """The class of the same letters and digits."""
    places = {plain(name): at for at, name in enumerate(classes)}
    return [places[plain(label)] for label in labels]


def by_index(labels, classes):
    """The class at the same index of a list that is the same but for the spelling of some names."""
    assert len(labels) == len(classes)
    places = {plain(name): at for at, name in enumerate(classes)}
    same = [places.get(plain(label)) for label in labels]
    assert all(place in (None, at) for at, place in enumerate(same))
    assert sum(place is not None for place in same) >= 0.85 * len(classes)
    return list(range(len(classes)))


lists = []


def add(dataset, labels, places, where, protocol="openai", order=None):
    """A list; `order` says from which numbers its owner counts it, where its order is that of the dataset's authors."""
    assert len(set(places)) == len(places) == len(labels), dataset
    lists.append({"dataset": dataset, "protocol": protocol, "source": where, "labels": labels, "classes": places})
    for base in order or []:
        numbers = {"dataset": dataset, "protocol": protocol, "source": where, "from": base, "classes": places}
        lists.append(numbers)


TFDS, MM, TV, CB = "tensorflow-datasets", "mmpretrain", "torchvision", "clip-benchmark"
T = "tensorflow_datasets/"
NAMES = "mmpretrain/datasets/categories.py"

# Same names, in the order of the authors.
for dataset, labels, what, order in [
    ("sun397", [line[3:] for line in lines(TFDS, T + "image_classification/sun397_labels.txt")], "sun397_labels.txt, without letters", []),
    ("ucf101", lines(TFDS, T + "video/ucf101_labels.txt"), "ucf101_labels.txt (classInd.txt)", [0, 1]),
    ("cars", constant(TFDS, T + "image_classification/cars196.py", "_NAMES"), "cars196.py", [0, 1]),
    ("pets", constant(TFDS, T + "datasets/oxford_iiit_pet/oxford_iiit_pet_dataset_builder.py", "_LABEL_CLASSES"), "oxford_iiit_pet", [0, 1]),
    ("resisc45", constant(TFDS, T + "datasets/resisc45/resisc45_dataset_builder.py", "_LABELS"), "resisc45", [0]),
    ("voc2007", constant(TFDS, T + "object_detection/voc.py", "_VOC_LABELS"), "voc.py", [0]),
    ("food101", lines(TFDS, T + "image_classification/food-101_classes.txt"), "food-101_classes.txt", []),
]:  # fmt: skip
    add(dataset, labels, by_name(labels, OPENAI[dataset]), source(TFDS, what), order=order)
# The paths that the authors list, which is their order.
paths = lines(TFDS, T + "image_classification/sun397_labels.txt")
add("sun397", paths, by_name([path[3:] for path in paths], OPENAI["sun397"]), source(TFDS, "sun397_labels.txt"), order=[0])
for dataset, name, order in [
    ("cifar10", "CIFAR10_CATEGORIES", [0]),
    ("cifar100", "CIFAR100_CATEGORIES", [0]),
    ("pets", "OxfordIIITPet_CATEGORIES", [0]),
    ("dtd", "DTD_CATEGORIES", [0]),
    ("aircraft", "FGVCAIRCRAFT_CATEGORIES", [0]),
    ("cars", "STANFORDCARS_CATEGORIES", [0]),
    ("sun397", "SUN397_CATEGORIES", [0]),
    ("voc2007", "VOC2007_CATEGORIES", [0]),
    ("food101", "FOOD101_CATEGORIES", []),
]:
    labels = constant(MM, NAMES, name)
    add(dataset, labels, by_name(labels, OPENAI[dataset]), source(MM, name), order=order)

# The prompts' order, with some names written differently.
caltech = constant(MM, NAMES, "CALTECH101_CATEGORIES")
add("caltech101", caltech, by_index(caltech, OPENAI["caltech101"]), source(MM, "CALTECH101_CATEGORIES"))
lower = lines(TFDS, T + "image_classification/caltech101_labels.txt")
# CLIP_benchmark scores TFDS's Caltech-101 by its own names, in TFDS's order.
places = by_name(THEIRS["caltech101_vtab"], OPENAI["caltech101"])
assert places == by_name(lower, caltech)
add("caltech101", lower, places, source(TFDS, "caltech101_labels.txt") + "; " + source(CB, "caltech101_vtab"))
flowers = constant(TFDS, T + "datasets/oxford_flowers102/oxford_flowers102_dataset_builder.py", "_NAMES")
add("flowers", flowers, by_index(flowers, OPENAI["flowers"]), source(TFDS, "oxford_flowers102"), order=[0, 1])
flowers = constant(TV, "torchvision/datasets/flowers102.py", "classes")
add("flowers", flowers, by_index(flowers, OPENAI["flowers"]), source(TV, "Flowers102.classes"), order=[0])

# The same of TFDS's EuroSAT and of FER2013's folders.
for protocol, classes in [("openai", OPENAI["eurosat"]), ("clip-benchmark", THEIRS["eurosat"])]:
    eurosat = constant(TFDS, T + "image_classification/eurosat.py", "_LABELS")
    places = by_name(THEIRS["eurosat"], classes)
    add("eurosat", eurosat, places, source(TFDS, "eurosat.py") + "; " + source(CB, "eurosat"), protocol, order=[0])
add("pets", THEIRS["pets"], by_name(THEIRS["pets"], OPENAI["pets"]), source(CB, "pets"))
breeds = constant(MM, NAMES, "OxfordIIITPet_CATEGORIES")
add("pets", breeds, by_name(breeds, THEIRS["pets"]), source(MM, "OxfordIIITPet_CATEGORIES"), "clip-benchmark", order=[0, 1])
folders = sorted(FEELINGS)
alike = {"disgust": "disgusted", "fear": "fearful", "surprise": "surprised"}
for protocol, classes in [("openai", OPENAI["fer2013"]), ("clip-benchmark", THEIRS["fer2013"])]:
    places = by_name([alike.get(word, word) for word in folders], classes)
    assert protocol == "openai" or places == list(range(7))
    add("fer2013", folders, places, "folders; " + source(CB, "fer2013"), protocol)
    places = by_name([alike.get(word, word) for word in FEELINGS], classes)
    lists.append({"dataset": "fer2013", "protocol": protocol, "source": "fer2013.csv", "from": 0, "classes": places})

# ISO 3166-1 codes, whose string order is the order of the prompts.
countries = json.loads(path("pycountry", "pycountry/databases/iso3166-1.json").read_text())["3166-1"]
known = {plain(c[key]): c["alpha_2"] for c in countries for key in ("name", "official_name", "common_name") if key in c}
codes = [CODES.get(name) or known[plain(name)] for name in OPENAI["country211"]]
assert codes == sorted(codes) and not {CODES[name] for name in CODES if plain(name) in known}
assert set(codes) - {"XK"} <= {c["alpha_2"] for c in countries}
add("country211", codes, list(range(211)), source("pycountry", "iso3166-1.json"), order=[0])

# Digits, counts, halves.
digits = constant(TV, "torchvision/datasets/mnist.py", "classes")
add("mnist", digits, by_name([label[0] for label in digits], OPENAI["mnist"]), source(TV, "MNIST.classes"))
add("svhn", [str(n) for n in range(10)], list(range(10)), source(CB, "svhn"), "clip-benchmark")
add("svhn", [str(n) for n in range(1, 11)], [n % 10 for n in range(1, 11)], source(TV, "SVHN: 10 is the digit 0"), "clip-benchmark")
counts = THEIRS["clevr_count_all"]
add("clevr", counts, by_name([str(n) for n in range(3, 11)], OPENAI["clevr"]), source(CB, "clevr_count_all"))
lists.append({"dataset": "clevr", "protocol": "clip-benchmark", "source": source(CB, "clevr_count_all"), "from": 0, "classes": list(range(8))})
halves = constant(TV, "torchvision/datasets/rendered_sst2.py", "classes")
add("sst2", halves, by_name(halves, OPENAI["sst2"]), source(TV, "RenderedSST2.classes"), order=[0])
lists.append({"dataset": "gtsrb", "protocol": "openai", "source": source(CB, "gtsrb"), "from": 0, "classes": by_name(THEIRS["gtsrb"], OPENAI["gtsrb"])})

# WordNet ids: ImageNet's in the order of the prompts, and the subsets.
wnids = lines("timm", "timm/data/_info/imagenet_synsets.txt")
assert wnids == lines(TFDS, T + "datasets/imagenet2012/labels.txt")
assert [plain(name) for name in THEIRS["imagenet1k"]] == [plain(name) for name in OPENAI["imagenet"]]
add("imagenet", wnids, list(range(1000)), source("timm", "imagenet_synsets.txt"), order=[0])
for letter in "ar":
    labels = lines("timm", f"timm/data/_info/imagenet_{letter}_synsets.txt")
    add(f"imagenet-{letter}", labels, list(range(200)), source("timm", f"imagenet_{letter}_synsets.txt"), order=[0])
    assert set(labels) <= set(wnids)

wrong = {"names": [0, 0], "numbers": [0, 0]}
for entry in lists:
    labels = entry.get("labels") or [str(entry["from"] + at) for at in range(len(entry["classes"]))]
    position = {label: at for at, label in enumerate(sorted(labels))}
    count = wrong["names" if "labels" in entry else "numbers"]
    count[0] += sum(position[label] != place for label, place in zip(labels, entry["classes"]))
    count[1] += len(labels)
document = {"wrong_by": {kind: a / b for kind, (a, b) in wrong.items()}, "lists": lists}
assert all(share > 1e-3 for share in document["wrong_by"].values())
OUT.parent.mkdir(parents=True, exist_ok=True)
rows = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in lists)
OUT.write_text(f'{{"wrong_by": {json.dumps(document["wrong_by"])}, "lists": [\n{rows}\n]}}\n')
print(f"{len(lists)} lists, {OUT.stat().st_size} bytes; by position {wrong}")
