# Linking for older systems than this one. Sourced after lib.sh, not run.

ZIG_VERSION=0.17.1
# That of manylinux_2_28, which libtorch's own wheel needs: RHEL 8, Debian 10, Ubuntu 20.04 and what came after them.
GLIBC=2.28
GLIBCXX=3.4.24

# old_glibc: makes once, in the cache, a folder with the start file and the symbols of glibc $GLIBC as zig has them (no
# code: that is the system's when the program is run), and prints its path.
old_glibc() {
  local folder="$CACHE/tools/glibc-$GLIBC-zig-$ZIG_VERSION" scratch python name
  if [ ! -f "$folder/libc.so" ]; then
    say "symbols of glibc $GLIBC, from ziglang $ZIG_VERSION"
    scratch="$(mktemp -d)"
    python="$(venv zig "ziglang==$ZIG_VERSION")" || return
    echo 'int main(void) { return 0; }' >"$scratch/main.c"
    ZIG_GLOBAL_CACHE_DIR="$scratch" ZIG_LOCAL_CACHE_DIR="$scratch" "$python" -m ziglang cc -O2 -pie -fPIE \
      -target "$(uname -m)-linux-gnu.$GLIBC" "$scratch/main.c" -o "$scratch/main" >&2 || return
    mkdir -p "$folder"
    find "$scratch" \( -name Scrt1.o -o -name libc_nonshared.a -o -name 'lib*.so.?' \) -exec cp {} "$folder" \;
    for name in m pthread dl rt util; do ln -sf "$(basename "$folder"/lib$name.so.?)" "$folder/lib$name.so"; done
    printf 'INPUT("%s")\n' "$folder"/libc.so.? "$folder/libc_nonshared.a" "$folder"/libld.so.? >"$folder/libc.so"
    # zig has 440 MB.
    rm -rf "$scratch" "${python%/bin/python}"
  fi
  echo "$folder"
}

# link_args: arguments of the compiler that links, one a line: against glibc $GLIBC, with equal functions once. Undefined
# symbols of this system's libraries are allowed: those of the system that runs the program are used.
link_args() {
  local folder
  folder="$(old_glibc)" || return
  printf '%s\n' "-B$folder" "-L$folder" -Wl,--allow-shlib-undefined -Wl,--icf=all
}

# newest FILE LIBRARY: the newest version of the symbols of LIBRARY (GLIBC, GLIBCXX) that an executable asks for, if any.
newest() {
  objdump -T "$1" | sed -n "s/.*($2_\([0-9.]*\)).*/\1/p" | sort -V | tail -1
}

# runs_on_old FILE…: fails where one asks for more than manylinux_2_28 has.
runs_on_old() {
  local file library needed most
  for file in "$@"; do
    for library in GLIBC GLIBCXX; do
      most="${!library}"
      needed="$(newest "$file" "$library")"
      [ "$(printf '%s\n' "${needed:-0}" "$most" | sort -V | tail -1)" = "$most" ] ||
        die "$(basename "$file") needs ${library}_$needed, which is newer than $most
hint: objdump -T $file | grep ${library}_$needed names the functions; crates/clip-torch/shim/old_libstdcxx.cpp has those of C++"
    done
  done
}
