import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from phenotrain.cache import CacheError, FieldCache, scheduling
from phenotrain.cache.layout import STATE, STORED

SCRIPT = """
import sys
from pathlib import Path
from phenotrain.cache import build_cache
from phenotrain.datasets import load_description

if __name__ == "__main__":
    description, root, out = map(Path, sys.argv[1:4])
    build_cache(load_description(description), root, out, downsample=4, num_workers=int(sys.argv[4]))
"""
PATIENCE_S = 60


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the build in the other process did not get where it should")
        time.sleep(0.05)


def children_of(pid):
    listings = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for listing in listings for word in listing.read_text("utf-8").split()]


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="watches processes through /proc")
def test_killed_build_goes_on_where_it_stopped(make_screen, tmp_path, swap_quietly):
    """After SIGKILL another run reads no finished site again, and ends byte-equal to an uninterrupted one."""
    screen = make_screen(num_sites=40)
    screen.build(tmp_path / "whole")
    held = screen.path("E_1_B37_1", 2)  # not among the sites whose form is looked at first
    shutil.copy2(held, tmp_path / "held")
    held.unlink()
    os.mkfifo(held)  # whoever reads it waits for ever
    script = tmp_path / "build.py"
    script.write_text(SCRIPT, "utf-8")
    out = tmp_path / "killed"
    command = [sys.executable, script, screen.root / "description.toml", screen.root, out, "2"]
    process = subprocess.Popen([str(word) for word in command])
    children = []
    try:
        wait_until(lambda: process.poll() is not None or num_stored(out) == 36)
        children = children_of(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.raises(CacheError, match="not finished"):
        FieldCache.open(out)
    assert len(children) >= 2
    wait_until(lambda: not any(runs(pid) for pid in children))

    held.unlink()
    shutil.copy2(tmp_path / "held", held)
    finish_reading_only_what_is_left(screen, out, swap_quietly)
    assert contents(out) == contents(tmp_path / "whole")


def test_interrupted_build_saves_what_it_has(make_screen, tmp_path, swap_quietly, monkeypatch):
    """Ctrl-C keeps every site stored so far, and another run ends byte-equal to an uninterrupted one."""
    screen = make_screen(num_sites=12)
    screen.build(tmp_path / "whole")
    store = scheduling.store_sites

    def interrupt_at_the_third_chunk(plan, jobs):
        if jobs[0].slot == 8:
            raise KeyboardInterrupt
        return store(plan, jobs)

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "store_sites", interrupt_at_the_third_chunk)
        with pytest.raises(KeyboardInterrupt):
            screen.build(tmp_path / "stopped")
    assert num_stored(tmp_path / "stopped") == 8
    finish_reading_only_what_is_left(screen, tmp_path / "stopped", swap_quietly)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_build_killed_before_its_record_starts_anew(make_screen, tmp_path):
    """A folder left by a kill before meta.json was written is filled from the start."""
    screen = make_screen()
    screen.build(tmp_path / "whole")
    screen.build(tmp_path / "cache")
    (tmp_path / "cache" / "meta.json").rename(tmp_path / "cache" / "meta.json.tmp")
    (tmp_path / "cache" / "left_out.csv").unlink()
    screen.build(tmp_path / "cache")
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


def test_full_disk_stops_the_build_and_not_the_cache(make_screen, tmp_path, monkeypatch):
    """When fields cannot be written the build stops with the reason, and another run goes on."""
    screen = make_screen()

    def fail(_plan, _jobs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "store_sites", fail)
        with pytest.raises(CacheError, match=r"No space left on device.*run again to go on"):
            screen.build(tmp_path / "cache")
    assert len(screen.build(tmp_path / "cache")) == 6


def finish_reading_only_what_is_left(screen, out, swap_quietly):
    """Finish a build while the images of its stored sites cannot be decoded."""
    wells = [f"B{slot:02d}" for slot in np.flatnonzero(np.load(out / STATE) == STORED)]
    stored = [path for path in screen.root.rglob("*.png") if path.name[:3] in wells]
    originals = {path: (path.read_bytes(), path.stat()) for path in stored}
    for path in stored:
        swap_quietly(path)
    screen.build(out)
    for path, (content, status) in originals.items():
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def num_stored(out):
    try:
        return int((np.load(out / STATE) == STORED).sum())
    except (OSError, ValueError):
        return 0
