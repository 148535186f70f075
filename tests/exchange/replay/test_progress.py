"""Progress: a line on a terminal, stages elsewhere, nothing when quiet."""

import io

from exchange.replay.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_terminal() -> None:
    """On a terminal the last step is always shown, with percent and rate."""
    stream = Terminal()
    progress = Progress(stream=stream)
    progress.stage("Life")
    progress.step(1, of=4, what="too soon to show")
    progress.step(4, of=4, what="2026-01-08")
    progress.close()
    assert "Life\n" in stream.getvalue()
    assert "100 %  2026-01-08" in stream.getvalue()
    assert "too soon" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_file_and_quiet() -> None:
    """In a log only stages are written, and nothing at all when quiet."""
    stream = io.StringIO()
    for progress in (Progress(stream=stream), Progress(stream=stream, quiet=True)):
        progress.stage("Life")
        progress.step(4, of=4, what="x")
        progress.close()
    assert stream.getvalue() == "Life\n"
