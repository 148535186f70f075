"""The commands: each is where the table says, and `verify` waits for nothing that it does not need."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from exchange import cli, worker
from exchange.cli import COMMANDS, group
from exchange.cli import commands as edge
from exchange.replay import demo
from exchange.replay.supervisor import ChildDied


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_it_is_said_to_be(name: str) -> None:
    """Under its own name, with a help of its own."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.name == name
    assert CliRunner().invoke(group, [name, "--help"]).exit_code == 0


def test_the_list_of_commands() -> None:
    """Help names all; what is none is refused as click does."""
    told = CliRunner().invoke(group, ["--help"]).output
    assert [line.split()[0] for line in told.partition("Commands:\n")[2].splitlines()] == sorted(COMMANDS)
    unknown = CliRunner().invoke(group, ["nothing"])
    assert (unknown.exit_code, "No such command 'nothing'" in unknown.output) == (2, True)


def test_verify_loads_no_database_and_no_web() -> None:
    """Whoever verifies starts at once, and has nothing in the process but what it verifies with."""
    heavy = "sqlalchemy psycopg flask sklearn scipy numpy granian exchange.app exchange.clock exchange.cli.commands"
    script = (
        "import sys; from exchange.cli import group\n"
        "group.main(['verify', '--help'], standalone_mode=False)\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_verify_knows_what_day_it_is(tmp_path: object) -> None:
    """`--max-age` counts from the machine's time where no day is given."""
    ran = CliRunner().invoke(group, ["verify", f"{tmp_path}/none", "--max-age", "1"])
    assert (ran.exit_code, "Verdict: undecided." in ran.output) == (3, True)


def test_what_ends_a_command_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal, a child that died, words that are not understood, Ctrl-C: a line and an exit code, no traceback."""

    def die(*_: object, **__: object) -> None:
        raise ChildDied("worker-1 ended")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run_demo", die)
    monkeypatch.setattr(worker, "run", stop)
    monkeypatch.setattr(edge, "_services", lambda: None)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    for words, code, said in (
        (["demo"], 1, "Error: worker-1 ended\n"),
        (["worker"], 130, "Stopped.\n"),
        (["books", "check"], 1, "exchange: DATABASE_URL is not set: name the database whose books to read\n"),
        (["replay"], 2, "Error: Missing argument 'FILE'.\n"),
    ):
        monkeypatch.setattr(sys, "argv", ["exchange", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code, capsys.readouterr().err.endswith(said)) == (code, True)
