"""Runs a command and measures all its processes: wall and processor seconds, and peak memory."""

import os
import resource
import subprocess
import threading
import time


def tree(root):
    """The process and its descendants."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents.setdefault(int(file.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except OSError:
                pass
    found, queue = [], [root]
    while queue:
        process = queue.pop()
        found.append(process)
        queue += parents.get(process, [])
    return found


def memory(root):
    """Their memory in MiB, shared pages counted once."""
    total = 0
    for process in tree(root):
        try:
            with open(f"/proc/{process}/smaps_rollup") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return total / 1024


def run(command, env=None, cwd=None):
    """Standard output and error of the command, and what it took. Fails when the command fails."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        command, env=env, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    peak = [0.0]

    def watch():
        while process.poll() is None:
            peak[0] = max(peak[0], memory(process.pid))
            time.sleep(0.25)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{output[-3000:]}\nexit code {process.returncode}")
    return output, dict(seconds=time.monotonic() - started, cpu=cpu, peak_mib=peak[0])
