"""A run of one recipe in one folder: the order of things.

The loop runs on ignite's Engine alone and not on MONAI's SupervisedTrainer: batches are pure functions of their number
and a run is a count of steps, so exact resume is a matter of one number, whereas MONAI's trainer thinks in epochs,
image-label pairs and one prediction, which our networks with several heads do not give.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch

from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import Cancelled
from SScILDScoringLib.progress import Progress, silent

from ..checkpoints import newest_checkpoint, save_checkpoint
from ..run_status import Orders, StatusWriter
from ..runfolder import RunFolder
from .batch_norm import with_joint_statistics
from .determinism import deterministic, seed_step
from .freezing import Freezing
from .precision import Precision, chosen_device
from .recipe import Batch, Recipe, TrainingResult
from .schedule import learning_rate_factor
from .signals import Politely
from .state import TrainingState
from .step import Stepper
from .team import Team
from .tracking import Curves, tracked_curves

GO, PAUSE, STOP, CANCEL = range(4)
PAUSE_POLL_S = 0.25
RATE_STEPS = 20
"""Steps of a session after which the time left is told."""


class Trainer:
    """Trains a recipe. ``torchrun`` may start it in several processes, which then share every batch.

    Args:
        recipe: what to train.
        run: the folder; made when it is not there.
        resume: go on from the folder's last checkpoint.
        progress: told about every logged step (in the first process only); raising
            :class:`~SScILDScoringLib.errors.Cancelled` in it ends the run after a checkpoint.
    """

    def __init__(self, recipe: Recipe, run: str | Path, resume: bool = False, progress: Progress = silent) -> None:
        self.recipe = recipe
        self.config = recipe.loop
        self.run_folder = RunFolder(run)
        self.resume = resume
        self._told = progress
        self.state: TrainingState | None = None
        self.total_steps = 0
        self.share = 0.0
        self._busy = False
        self._reason: str | None = None
        self._cancelled: Cancelled | None = None
        self._status: StatusWriter | None = None
        self._orders: Orders | None = None

    def run(self) -> TrainingResult:
        """Trains to the end of the configuration. A cancelled, stopped, interrupted or killed run can be resumed.

        Raises:
            SettingsError: the folder is in use, the checkpoint does not fit, or the data is not usable.
            Cancelled: the progress callable asked to stop; the last checkpoint is written.
        """
        self.team = Team.from_environment()
        self.team.check(self.config.batch_size, self.config.accumulate)
        self.device = chosen_device(self.config.device, self.team.local_rank)
        self.precision = Precision(self.config.precision, self.device)
        with ExitStack() as stack:
            stack.enter_context(threads(self.config.threads))
            stack.enter_context(deterministic(self.config.deterministic))
            stack.enter_context(self.team.meet(self.device))
            stack.enter_context(self._reported())
            return self._run()

    # ---- the order of things ---------------------------------------------------------------------------------------

    def _run(self) -> TrainingResult:
        self.team.first(lambda: self.recipe.prepare(self._progress))
        self._show_examples()
        self._set_up()
        config, state = self.config, self.state
        curves = tracked_curves(config, self.run_folder, state.step, self._progress) if self.team.leads else None
        ended = "failed"
        try:
            self._steps(curves)
            ended = "stopped" if self._reason == "stopped" else "finished"
        except (Cancelled, KeyboardInterrupt):
            ended = "stopped"
            raise
        finally:
            if curves is not None:
                curves.close(ended)
        return TrainingResult(state.best_mae, state.best_step, state.step, self._reason)

    def _steps(self, curves: Curves | None) -> None:
        from ignite.engine import Engine, Events

        state = self.state
        self._first_step, self._first_second = state.step, state.clock.seconds()
        self._saved = state.clock.seconds()
        self.share, self._reason = self.team.agree([self._share_done()])[0], None
        if self._over():
            self._reason = self._reason or self._end()
            return
        engine = Engine(lambda _, batch: self._step(batch))
        engine.logger.setLevel(logging.CRITICAL)  # the command line tells about errors itself

        @engine.on(Events.ITERATION_COMPLETED)
        def after_step(engine: Engine) -> None:
            self._after_step(engine.state.output, engine.state.batch, curves)
            if self._reason:
                engine.terminate()

        left = self.total_steps - state.step
        batches = self.recipe.batches(state.step, left, (self.team.rank, self.team.size))
        with Politely() as self._politely:
            try:
                engine.run(batches, max_epochs=1, epoch_length=left)
            except RuntimeError:
                if self._politely.asked and not self._busy:  # the signal ended the loading processes as well
                    self._save(curves)
                    self._politely.obey()
                raise
        if self._cancelled:
            raise self._cancelled

    def _step(self, batch: Batch) -> dict[str, float]:
        state, self._busy = self.state, True
        seed_step(self.recipe.seed, state.step, self.team.rank)
        self.rate = self.config.learning_rate * learning_rate_factor(self.config, state.step, self.share)
        losses = self.stepper.take(batch, self.rate)
        state.step += 1
        return losses

    def _after_step(self, losses: dict[str, float], batch: Batch, curves: Curves | None) -> None:
        """Everything between two steps; at its end the state is whole and may be kept."""
        state = self.state
        (order, self.share), losses = self.team.exchange([self._order(), self._share_done()], losses)
        if all(map(math.isfinite, losses.values())):  # a step that float16 could not hold was not taken
            state.window.add(losses)
        over = self._over()
        if self.team.leads and (state.step == 1 or self._validation_due(over)):
            self.run_folder.picture("inputs.png", self.recipe.picture(batch))
        if state.window.count and (state.step % self.log_every == 0 or over):
            self._log(state.window.take(), curves)
        if self._validation_due(over):
            self._validate(curves)
        elif self.team.leads and state.clock.seconds() - self._saved > 60 * self.config.checkpoint_minutes:
            self._save(curves)
        if over:
            self._reason = self._end()
        elif self.config.patience and state.validations_since_best >= self.config.patience:
            self._reason = "patience"
        if order == PAUSE and not self._reason:
            order = self._pause(curves)
        if order in (STOP, CANCEL) and not self._reason:
            self._save(curves)
            self._reason = "stopped"
        if order == CANCEL and self._cancelled is None:
            self._cancelled = Cancelled()
        self._busy = False
        if self._politely.asked:
            self._save(curves)
            self._politely.obey()

    # ---- its parts ---------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        config, recipe = self.config, self.recipe
        resumed, note = None, None
        if self.resume:
            resumed, note = newest_checkpoint(self.run_folder.last, self.run_folder.previous)
        torch.manual_seed(recipe.seed)
        network = self.team.first(lambda: recipe.network(start=resumed is None)).to(self.device)
        if self.team.size > 1:
            network = with_joint_statistics(network, self.device)
        self.freezing = Freezing(network, config.freeze, config.thaw_at)
        self.state = TrainingState(network, config, self.precision)
        self.steps_per_epoch = max(1, recipe.samples_per_epoch // config.batch_size)
        self.total_steps = config.steps or config.epochs * self.steps_per_epoch
        self.validate_every = config.validate_every or self.steps_per_epoch
        self.log_every = max(1, min(50, self.total_steps // 20))
        self.rate = config.learning_rate
        if resumed is not None:
            self.state.restore(resumed)
            self._note(note or f"Going on from step {self.state.step}.")
        parts = (self.state, config, self.device, self.precision, self.freezing, self.team)
        self.stepper = Stepper(recipe, *parts)
        if self._status:
            self._status.say(state="running", stage="train", message="Training")

    def _show_examples(self) -> None:
        """A picture of what the recipe makes, where it makes something: once, for people to look at while it trains."""
        path = self.run_folder.path / "examples.png"
        draw = getattr(self.recipe, "examples", None)
        if draw is not None and self.team.leads and not (self.resume and path.is_file()):
            path.unlink(missing_ok=True)
            draw(path)

    def _validation_due(self, over: bool) -> bool:
        return over or self.state.step % self.validate_every == 0

    def _validate(self, curves: Curves | None) -> None:
        state = self.state
        mae = 0.0
        if self.team.leads:
            if self._status:
                self._status.say(stage="validate", message="Validating")
            with state.judged_weights(), torch.inference_mode(), self.precision.autocast():
                state.network.eval()
                figures, rows = self.recipe.validate(state.network, self.device)
                mae = float(figures["mae"])
                if mae < state.best_mae:
                    best = {"network": state.network.state_dict(), "step": state.step, "figures": figures}
                    save_checkpoint(self.run_folder.best, best)
                    self.run_folder.write_table("validation.csv", rows)
            shown = {f"validation_{k}": v for k, v in figures.items()}
            curves.add(state.step, seconds=state.clock.seconds(), **shown)
        state.judge(self.team.agree([mae])[0])
        if self.team.leads:
            self._save(curves)
            text = ", ".join(f"{k} {v:.3g}" for k, v in figures.items())
            self._tell("validate", f"step {state.step}: {text}")

    def _log(self, means: dict[str, float], curves: Curves | None) -> None:
        if not self.team.leads:
            return
        state = self.state
        self.loss = means["loss"]
        curves.add(state.step, seconds=state.clock.seconds(), learning_rate=self.rate, **means)
        best = "" if math.isinf(state.best_mae) else f", best MAE {state.best_mae:.3g}"
        self._tell("train", f"step {state.step}/{self.total_steps}, loss {means['loss']:.4g}{best}")

    def _save(self, curves: Curves | None) -> None:
        """A checkpoint of this moment; rows of the curves reach the disk before it."""
        if not self.team.leads:
            return
        curves.write()
        save_checkpoint(self.run_folder.last, self.state.to_checkpoint(), self.run_folder.previous)
        self._saved = self.state.clock.seconds()
        curves.flush()

    def _order(self) -> int:
        if not self.team.leads:
            return GO
        if self._cancelled:
            return CANCEL
        return {"pause": PAUSE, "stop": STOP}.get(self._orders.current(), GO)

    def _pause(self, curves: Curves | None) -> int:
        """Waits, after a checkpoint, until something else is asked for; returns that."""
        self._save(curves)
        self.state.clock.stand()
        if self._status:
            self._status.say(state="paused", message="Paused")
        order = PAUSE
        while order == PAUSE and not self._politely.asked:
            self._politely.wait(PAUSE_POLL_S)
            if self.team.leads:
                self._tell("train", "Paused")
            order = int(self.team.agree([self._order()])[0])
        self.state.clock.go()
        if self._status:
            self._status.say(state="running", message="Training")
        return GO if order == PAUSE else order

    # ---- how far it is -----------------------------------------------------------------------------------------------

    def _share_done(self) -> float:
        """From 0 to 1: by steps, or by time when there is a limit and it is nearer."""
        share = self.state.step / self.total_steps
        minutes = self.config.minutes
        return max(share, self.state.clock.seconds() / 60 / minutes) if minutes else share

    def _over(self) -> bool:
        return self.share >= 1

    def _end(self) -> str:
        return "finished" if self.state.step >= self.total_steps else "time"

    def _facts(self) -> dict:
        """For the status file; called from its thread."""
        state = self.state
        if state is None or not self.total_steps:
            return {}
        seconds = state.clock.seconds()
        facts = {
            "step": state.step,
            "total_steps": self.total_steps,
            "share": min(self.share, 1.0),
            "seconds": round(seconds, 1),
            "loss": getattr(self, "loss", None),
            "best_mae": None if math.isinf(state.best_mae) else state.best_mae,
            "best_step": state.best_step,
        }
        done = state.step - getattr(self, "_first_step", state.step)
        if done >= min(RATE_STEPS, self.total_steps // 10 or 1):
            speed = done / max(seconds - self._first_second, 1e-6)
            left = (self.total_steps - state.step) / speed
            if self.config.minutes:
                left = min(left, max(60 * self.config.minutes - seconds, 0.0))
            facts["seconds_left"] = round(left, 1)
            facts["samples_per_second"] = round(speed * self.config.batch_size, 2)
        return facts

    # ---- what it says --------------------------------------------------------------------------------------------

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Folder, status file and log of the run, in the first process."""
        if not self.team.leads:
            yield
            return
        session = {"device": str(self.device), "precision": self.precision.name, "processes": self.team.size,
                   "seed": self.recipe.seed, "resumed": self.resume}  # fmt: skip
        self.run_folder.start(self.recipe.plain_config(), self.resume, session)
        self._orders = Orders(self.run_folder.path)
        self._orders.forget()
        self._status = StatusWriter(self.run_folder.path, self._facts)
        self._status.start()
        try:
            yield
        except BaseException as error:
            stopped = not isinstance(error, Exception) or isinstance(error, Cancelled)
            message = " ".join(str(error).split()) if isinstance(error, Exception) else "Stopped by a signal."
            message = message or type(error).__name__
            with suppress(OSError):
                self.run_folder.log(message)
            self._status.close("stopped" if stopped else "failed", message)
            raise
        words = {"time": "The time is over.", "patience": "No better for a while: stopped early.",
                 "stopped": "Stopped as asked."}  # fmt: skip
        message = words.get(self._reason, "Finished.")
        self.run_folder.log(f"{message} Step {self.state.step}, best MAE {self.state.best_mae:.4g}.")
        self._status.close("stopped" if self._reason == "stopped" else "finished", message)

    def _progress(self, stage: str, fraction: float, message: str) -> None:
        """While data is prepared: may raise Cancelled."""
        if self._status:
            self._status.say(stage=stage, message=message)
        if self._orders and self._orders.current() == "stop":
            raise Cancelled("Stopped as asked, before the first step.")
        self._told(stage, fraction, message)

    def _tell(self, stage: str, message: str) -> None:
        """While training: a wish to cancel is kept until all processes hear of it."""
        if self._status:
            self._status.say(stage="train", message=message)
        try:
            self._told(stage, self.share, message)
        except Cancelled as wish:
            self._cancelled = wish

    def _note(self, message: str) -> None:
        if self.team.leads:
            self.run_folder.log(message)
            self._told("train", self.share, message)
