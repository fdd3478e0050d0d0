# The Python tools that are measured and compared with, in an environment of their own. Sourced after lib.sh.

# python_tools: makes the environment when it is missing, and sets PYTHON.
# CLIP_DATA_PYTHON names another interpreter that has them already.
python_tools() {
  PYTHON="${CLIP_DATA_PYTHON:-$CACHE/venv-torch/bin/python}"
  [ -x "$PYTHON" ] && return
  say "pip: torch $TORCH_VERSION, open_clip 3.3.0 and webdataset into $CACHE/venv-torch"
  python3 -m venv "$CACHE/venv-torch"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check \
    "torch==$TORCH_VERSION" torchvision==0.26.0 open_clip_torch==3.3.0 webdataset==1.0.2 pandas tensorboard
}
