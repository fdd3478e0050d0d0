# Environments for the Python tools that golden files come from and that are measured beside ours. Sourced.

# What training is measured beside.
TRAINING_TOOLS=(torch==2.11.0 torchvision==0.26.0 open_clip_torch==3.3.0 webdataset==0.2.86 pandas tensorboard)

# venv NAME REQUIREMENT…: makes the environment in the cache, anew where the requirements changed, and prints its
# interpreter.
venv() {
  local folder="${CLIP_DATA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clip-data}/venv-$1"
  shift
  if [ "$(cat "$folder/requirements" 2>/dev/null)" != "$*" ]; then
    echo "pip: $* into $folder" >&2
    rm -rf "$folder"
    # What failed leaves no list of requirements, so that it is tried again.
    python3 -m venv "$folder" >&2 &&
      "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 &&
      echo "$*" >"$folder/requirements" || return
  fi
  echo "$folder/bin/python"
}
