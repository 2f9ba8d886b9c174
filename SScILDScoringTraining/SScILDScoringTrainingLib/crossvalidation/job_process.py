"""The process of one job: trains (or goes on), packs a bundle, and asks it about the cases held out.

    python -m SScILDScoringTrainingLib.crossvalidation.job_process FOLDER

It ends, after a checkpoint, when its standard input is closed: that is how the process that started it stops it, and
what happens by itself when that process is killed. Exit codes as those of ``sscild``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path

from SScILDScoringLib.errors import Cancelled, SScILDError
from SScILDScoringLib.progress import Progress, silent

from .jobs import ANSWERS, BUNDLE, JobFolder


def run_job(folder: str | Path, progress: Progress = silent) -> None:
    """Does what is left of the job in ``folder``; nothing when it is done.

    Raises:
        SScILDError: whatever is wrong with configuration or data. Cancelled: the run was asked to stop.
    """
    place = JobFolder(folder)
    if place.done:
        return
    from ..packing import pack_run
    from ..recipes import recipe_of
    from ..run_status import read_status
    from ..training import Trainer, trained_network
    from .answers import answers_of, write_answers

    job, run = place.job, place.path
    recipe = recipe_of(place.config)
    status = read_status(run)
    if status is None or status.state != "finished":
        result = Trainer(recipe, run, resume=bool(status and status.can_resume), progress=progress).run()
        if result.reason == "stopped":
            raise Cancelled("Stopped as asked.")
        status = read_status(run)
    last = job.weights == "last"
    for unfinished in run.glob(f".{BUNDLE}.*.part"):  # of a process that was killed while packing
        shutil.rmtree(unfinished, ignore_errors=True)
    progress("pack", 0.0, "Packing the weights")
    bundle = pack_run(run, run / BUNDLE, last=last, overwrite=True, progress=progress)
    write_answers(run / ANSWERS, answers_of(place.asked(), bundle, recipe.loop.device, progress))
    figures = trained_network(recipe, run, last=last)[1]
    validation = None if last else float(figures["mae"])
    place.finish(int(figures["step"]), status.step, validation, status.seconds / 60)


def main(arguments: list[str] | None = None) -> int:
    """Runs the job and returns the exit code."""
    place = JobFolder((arguments or sys.argv[1:])[0])
    place.claim()
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    try:
        run_job(place.path)
    except (Cancelled, KeyboardInterrupt):
        return 130
    except SScILDError as error:
        print(" ".join(str(error).split()), flush=True)
        return 2
    except MemoryError:
        print("There is not enough memory; lower training.batch_size or train fewer folds at once.", flush=True)
        return 2
    except Exception as error:  # the last line is what the user is shown
        traceback.print_exc(file=sys.stdout)
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        return 1
    return 0


def _stop_with_parent() -> None:
    """Waits for the end of standard input, and then does what Ctrl-C does."""
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # also wakes it up from a wait
    else:
        import _thread

        _thread.interrupt_main()


if __name__ == "__main__":
    sys.exit(main())
