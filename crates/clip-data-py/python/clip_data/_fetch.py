"""Lists of URLs to data sets, by the executable."""

import os
import shutil
import signal
import subprocess
import sys

from ._error import Error


def _executable():
    """`clip-data` of this environment, else of PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "clip-data")
    found = beside if os.access(beside, os.X_OK) else shutil.which("clip-data")
    if found is None:
        raise Error("clip-data is not installed\nhint: pip install clip-data, or put it into PATH")
    return found


def _flag(name, value):
    if value is True or value is False:
        value = str(value).lower()
    elif isinstance(value, (list, tuple)):
        value = "[" + ",".join(f'"{item}"' for item in value) + "]"
    return f"--{name}={value}"


def fetch(url_list, output_folder, **options):
    """Downloads a list of URLs, with img2dataset's options by their names; gives what was printed.

    Runs `clip-data fetch`: a failure raises what it prints, and Ctrl-C stops it so that the same call resumes.
    """
    command = [_executable(), "fetch", os.fspath(url_list), f"--out={os.fspath(output_folder)}"]
    command += [_flag(name, value) for name, value in options.items() if value is not None]
    # A group of its own: Ctrl-C reaches it once, by us.
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, errors = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            # It stops by itself when what it has in flight is stored.
            pass
        raise
    if process.returncode != 0:
        lines = errors.strip().splitlines()
        start = next((at for at, line in enumerate(lines) if line.startswith("error: ")), 0)
        raise Error("\n".join(lines[start:]).removeprefix("error: ") or f"clip-data exited with {process.returncode}")
    return out
