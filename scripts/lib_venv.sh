# venv NAME REQUIREMENT…: makes a Python environment in the cache once, and prints its interpreter.
venv() {
    local cache=${CLIP_DATA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clip-data} name=$1
    local folder=$cache/venv-$name
    shift
    local wanted="$*"
    if [ "$(cat "$folder/requirements" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$folder"
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet "$@" >&2
        echo "$wanted" > "$folder/requirements"
    fi
    echo "$folder/bin/python"
}
