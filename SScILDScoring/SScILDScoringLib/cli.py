"""The command ``sscild``: scoring commands, and the one place that turns errors into sentences and exit codes.

Exit codes: 0 all well, 1 a defect of this software or something ``doctor`` found, 2 something the user can mend,
130 stopped by Ctrl-C. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .errors import Cancelled, SScILDError

app = typer.Typer(
    name="sscild",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sscild {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error. Works with every command.")
    ] = False,
) -> None:
    """Scores interstitial lung disease in systemic sclerosis on chest CT (Goh: five levels, TOT, GG, RET).

    For research use only. Not a medical device.

    Start with [bold]sscild demo[/bold]; then [bold]sscild score CT -o results[/bold].
    """


class Stopped(BaseException):
    """A signal asked the program to stop. Not an Exception, so that nothing swallows it on its way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(application: typer.Typer | None = None, arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; every error becomes one line on standard error.

    Args:
        application: the typer application; the scoring commands when None.
        arguments: without the program's name; those of the process when None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:ours]
    # Threads that wait asleep instead of spinning: beside another busy program heat maps are ten times as fast.
    # OpenMP reads this when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = [a for i, a in enumerate(given) if a != "--debug" or i > ours]
    with _signals_raise():
        try:
            (application or app)(args=given, prog_name="sscild")
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except (Stopped, KeyboardInterrupt, Cancelled) as stop:
            _complain("Stopped; nothing half-done was left behind.")
            return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)
        except BrokenPipeError:
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
            return 1
        except SScILDError as error:
            _complain(str(error), debug)
            return 2
        except MemoryError:
            _complain("This computer's memory is not enough; close other programs, or use a larger one.", debug)
            return 2
        except Exception as error:
            hint = "" if debug else " Run the command again with --debug for the details, and report it."
            _complain(f"This should not have happened ({type(error).__name__}: {str(error)[:200]}).{hint}", debug)
            return 1
    return 0


def _complain(message: str, debug: bool = False) -> None:
    if debug:
        traceback.print_exc()
    print("sscild: " + " ".join(message.split()), file=sys.stderr, flush=True)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Within the block Ctrl-C and a polite kill unwind the program, so that temporary files are removed."""

    def stop(number: int, _frame) -> None:
        raise Stopped(number)

    former = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):  # not the main thread: then whoever runs us handles signals
                former[number] = signal.signal(number, stop)
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _register() -> None:
    """Adds the commands of the other files."""
    from .commands import batch as cli_batch
    from .commands import models as cli_models
    from .commands import phantom as cli_phantom
    from .commands import score as cli_score
    from .commands import study as cli_study
    from .commands import system as cli_system
    from .commands import worker as cli_worker

    cli_score.add_to(app)
    cli_batch.add_to(app)
    cli_phantom.add_to(app)
    app.add_typer(cli_models.app, name="models")
    app.add_typer(cli_study.app, name="study")
    cli_system.add_to(app)
    cli_worker.add_to(app)


_register()
