# DataComp's own filters, for the scripts that compare with them. Sourced after lib.sh; sets python, datacomp, PRESETS.

apt_install protobuf-compiler libprotobuf-dev python3-dev wordnet-base
python="$(venv golden-filter fasttext-wheel==0.9.2 gcld3==3.0.13 nltk==3.8.1 numpy==1.26.4 pandas==2.2.3 \
  pyarrow==22.0.0 torch==2.11.0 fsspec==2025.9.0 tqdm==4.67.1)"
datacomp="${DATACOMP:-$CACHE/datacomp}"
if [ ! -d "$datacomp" ]; then
  git clone --quiet https://github.com/mlfoundations/datacomp "$datacomp"
  git -C "$datacomp" checkout --quiet 4a8df19
fi
# Names and options of the baselines.
PRESETS=(
  no_filter basic_filter text_based "clip_score --arch l14 --fraction 0.3" image_based
  "image_based_intersect_clip_score --arch l14 --fraction 0.3" laion2b
)
