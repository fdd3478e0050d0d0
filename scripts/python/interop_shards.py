"""What Python tools make of a folder of our shards; any difference from its tables is an error."""
import glob
import io
import json
import os
import sys


def tars(folder):
    return sorted(glob.glob(os.path.join(folder, "*.tar")))


def rows(folder):
    import pyarrow.parquet
    return [row for tar in tars(folder) for row in pyarrow.parquet.read_table(tar[:-4] + ".parquet").to_pylist()]


def check_webdataset(folder):
    """Every sample, in order, with the caption, the json and an image of the size that its row says."""
    import webdataset
    from PIL import Image
    samples = list(webdataset.WebDataset(tars(folder), shardshuffle=False))
    table = rows(folder)
    assert len(samples) == len(table), (len(samples), len(table))
    for sample, row in zip(samples, table):
        assert sample["__key__"] == row["key"], (sample["__key__"], row["key"])
        assert sample["txt"].decode() == row["caption"]
        assert json.loads(sample["json"])["uid"] == row["uid"]
        image = Image.open(io.BytesIO(sample[row["format"]]))
        assert image.size == (row["width"], row["height"]), row["key"]
        image.load()
    print(f"webdataset: {len(samples)} samples in {len(tars(folder))} shards, as their tables say")


def check_open_clip(folder):
    """open_clip's own training pipeline gives every pair."""
    import open_clip
    from open_clip_train.data import get_wds_dataset
    from open_clip_train.params import parse_args
    _, preprocess, _ = open_clip.create_model_and_transforms("RN50", pretrained=None)
    count = sum(sum(1 for _ in open(tar[:-4] + ".idx")) for tar in tars(folder)) // 3
    args = parse_args(["--train-data", "::".join(tars(folder)), "--train-num-samples", str(count), "--batch-size", "16",
                       "--workers", "1", "--dataset-type", "webdataset"])
    args.world_size = 1
    data = get_wds_dataset(args, preprocess, True, tokenizer=open_clip.get_tokenizer("RN50"))
    seen = 0
    for images, texts in data.dataloader:
        assert images.shape[1:] == (3, 224, 224) and texts.shape[1] == 77
        seen += len(images)
    assert seen >= count, (seen, count)
    print(f"open_clip: {seen} samples through its training pipeline ({count} stored)")


def check_tables(folder, subset):
    """img2dataset's reader takes our table; the subset has DataComp's type and order."""
    import numpy
    from img2dataset.reader import Reader
    import fsspec
    scratch = os.path.join(os.path.dirname(subset), "reader")
    os.makedirs(scratch)
    first = tars(folder)[0][:-4] + ".parquet"
    reader = Reader(first, "parquet", url_col="url", caption_col="caption", verify_hash_col=None, verify_hash_type=None,
                    save_additional_columns=["uid"], number_sample_per_shard=1000, done_shards=set(),
                    tmp_path=scratch)
    read = 0
    for _, path in reader:
        import pyarrow
        with fsspec.open(path, "rb") as file:
            read += pyarrow.ipc.open_file(file).read_all().num_rows
    ids = numpy.load(subset)
    assert ids.dtype == numpy.dtype("u8,u8") and (numpy.sort(ids) == ids).all()
    wanted = sorted((int(row["uid"][:16], 16), int(row["uid"][16:], 16)) for row in rows(folder))
    assert [tuple(map(int, pair)) for pair in ids] == wanted
    print(f"img2dataset reads {read} rows of our table; the subset file has {len(ids)} ids")


globals()[f"check_{sys.argv[1]}"](*sys.argv[2:])
