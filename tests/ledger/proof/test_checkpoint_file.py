"""A file that keeps one note: whole after any death, and swapped by one of many."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.checkpoint_file import CheckpointFile


def counting(path: Path, turns: int) -> int:
    """Count the number in the file up by compare and swap, so many times; gives how often that was refused."""
    keeper, refused = CheckpointFile(path, durable=False), 0
    for _ in range(turns):
        while True:
            kept = keeper.read()
            before = kept.note if kept else None
            if keeper.swap(str(int(before or 0) + 1), expected=before):
                break
            refused += 1
    return refused


def writing(path: Path) -> None:
    """Swap notes of one letter each for ever, until killed."""
    keeper = CheckpointFile(path)
    number = 0
    while True:
        kept = keeper.read()
        keeper.swap("abc"[number % 3] * 200_000, expected=kept and kept.note)
        number += 1


def test_nothing_then_one_then_the_next(tmp_path: Path) -> None:
    """Only who knows what is kept replaces it; the folder is made for its owner alone, and no draft stays."""
    keeper = CheckpointFile(tmp_path / "guard" / "checkpoint")
    assert keeper.read() is None
    assert not keeper.swap("one", expected="none")
    assert keeper.swap("one", expected=None)
    assert not keeper.swap("two", expected=None)
    assert keeper.swap("two", expected="one")
    assert keeper.swap("two", expected="two")
    assert not keeper.swap("three", expected="one")
    kept = keeper.read()
    assert kept is not None
    assert kept.note == "two"
    assert abs(kept.since - datetime.now(UTC)) < timedelta(minutes=1)
    assert (tmp_path / "guard").stat().st_mode & 0o777 == 0o700
    assert [file.name for file in (tmp_path / "guard").iterdir()] == ["checkpoint"]


def test_what_is_no_text_is_kept_as_it_can_be_read(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are neither an error nor nothing: who verifies the note refuses it."""
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")
    kept = CheckpointFile(tmp_path / "checkpoint").read()
    assert kept is not None
    assert kept.note == "\ufffd\ufffd"
    (tmp_path / "checkpoint").write_bytes(b"")
    kept = CheckpointFile(tmp_path / "checkpoint").read()
    assert kept is not None
    assert kept.note == ""


def test_a_draft_left_by_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    """What a dead process left is written over."""
    (tmp_path / ".checkpoint.draft").write_text("half a no")
    assert CheckpointFile(tmp_path / "checkpoint").swap("note", expected=None)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_threads_and_processes_swap_one_at_a_time(tmp_path: Path) -> None:
    """Six at once count to 300 in one file: not one swap is lost."""
    path = tmp_path / "checkpoint"
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as processes, ThreadPoolExecutor(4) as threads:
        others = processes.starmap_async(counting, [(path, 50)] * 2)
        list(threads.map(lambda _: counting(path, 50), range(4)))
        others.get(60)
    kept = CheckpointFile(path).read()
    assert kept is not None
    assert kept.note == "300"


def test_a_killed_writer_leaves_a_whole_note(tmp_path: Path) -> None:
    """Whenever it dies, the file holds one note from its first letter to its last, and can be swapped again."""
    path = tmp_path / "checkpoint"
    context = multiprocessing.get_context("fork")
    for turn in range(6):
        process = context.Process(target=writing, args=(path,))
        process.start()
        time.sleep(0.05 + turn / 300)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        kept = CheckpointFile(path).read()
        assert kept is None or kept.note in {letter * 200_000 for letter in "abc"}
        assert CheckpointFile(path).swap("next", expected=kept and kept.note)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A file where the folder should be: an error of the system, never a silent yes."""
    (tmp_path / "guard").write_text("in the way")
    with pytest.raises(OSError, match="guard"):
        CheckpointFile(tmp_path / "guard" / "checkpoint").swap("note", expected=None)
