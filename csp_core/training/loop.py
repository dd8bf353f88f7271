"""The training loop: one for every objective, on one process or many."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import accelerate
import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor

from csp_core.data.batch import Batch
from csp_core.errors import ConfigError, DivergedError
from csp_core.evaluation import find_measure
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom
from csp_core.runs import RunDir
from csp_core.runs.metrics import restore_metrics
from csp_core.training.artifacts import Watched, write_baselines
from csp_core.training.average import OWN, Average, OwnState, copy_layers, split_own
from csp_core.training.finish import finish_model
from csp_core.training.finite import check_weights, diverged
from csp_core.training.pace import Pace
from csp_core.training.plan import Plan, TrainResult, trained_epochs
from csp_core.training.schedule import Schedule, monitored
from csp_core.training.setup import make_parts
from csp_core.training.space import keep_space
from csp_core.training.state import Stateful, derive_seed, load_state, save_state
from csp_core.training.validate import to_device, validate
from csp_core.training.weights import PART, make_optimizer

log = logging.getLogger(__name__)
POLL_STEPS = 20
HEARTBEAT_SECONDS = 1.0


class Stage:
    """One stage of a run: its parts, its place in time and the steps that move it on."""

    def __init__(self, plan: Plan, run: RunDir, accelerator: accelerate.Accelerator) -> None:
        self.plan, self.run_dir, self.accelerator = plan, run, accelerator
        self.config = config = plan.config
        self.options = config.training
        refit = plan.held_out is not None
        self.parts = make_parts(config, refit=refit, networks=plan.networks, start=plan.start)
        # The second stage follows the schedule of the first up to its best epoch.
        kept = trained_epochs(plan.held_out) if plan.held_out else None
        self.epochs = kept or self.options.epochs
        self.data_hash = self.parts.train_set.content_hash()
        self.origin = {"data": self.data_hash, "recipe": config.recipe_hash()}
        self.stream = self.parts.objective.stream(self.parts.train_set, self.options.batch_size)
        self.batch_size = self.stream.batch_size
        if self.batch_size % accelerator.num_processes:
            raise ConfigError(
                f"A batch of {self.batch_size} cannot be shared evenly by"
                f" {accelerator.num_processes} processes; change training.batch_size."
            )
        self.steps_per_epoch = self.stream.steps
        self.total_steps = self.steps_per_epoch * self.epochs
        self.parts.objective.plan_steps(self.total_steps)
        self.rate = Schedule(self.options, self.steps_per_epoch)
        self.names, optimizer = make_optimizer(self.parts.objective, self.options)
        self.wrapped, self.optimizer = accelerator.prepare(self.parts.objective, optimizer)
        decay = self.options.ema_decay
        self.average = Average(self.parts.objective, decay) if decay else None
        self.progress, self.best = load_state(
            plan.checkpoints, self._stateful(), self._plain_optimizer(), self.names, self.origin
        )
        self.watched = Watched(config, self.parts.model, self.parts.train_set)
        self.pace = Pace(accelerator.device, self.batch_size)
        self.clock, self.last_beat, self.told_size = time.monotonic(), 0.0, False

    def run(self) -> TrainResult:
        """Train to the end, to the stop or to the patience's end."""
        if self.accelerator.is_main_process:
            file, done = self.run_dir.metrics_file, self.progress
            done.rows = restore_metrics(
                file, done.rows, done.epoch, self.plan.name, self.plan.before
            )
            write_baselines(self.run_dir, self.parts.train_set, self.parts.val_set)
            self.watched.begin(self.run_dir, self.plan, self.progress.epoch)
            if not self.progress.step:
                self._draw_watched()
        log.info(
            "%d records, %d classes, %d steps an epoch, %d weights",
            len(self.parts.train_set),
            len(self.parts.model.classes),
            self.steps_per_epoch,
            sum(p.numel() for p in self.parts.model.parameters()),
        )
        while self.progress.epoch < self.epochs and not self._out_of_patience():
            if not self._train_epoch():
                self._save_within_epoch()
                self._status("stopped", message="stopped on request; `csp resume` goes on")
                history = self.run_dir.read_metrics()
                return TrainResult(self.parts.model, history, None, "stopped")
            self._close_epoch()
        return self._finish()

    def _train_epoch(self) -> bool:
        """Do the rest of the epoch under way; False if asked to stop."""
        self.wrapped.train()
        self.pace.begin_epoch()
        done = self.progress.step - self.progress.epoch * self.steps_per_epoch
        for batch in self._batches(first=done):
            self._train_step(batch)
            self.pace.step()
            step = self.progress.step
            if self.options.checkpoint_every and step % self.options.checkpoint_every == 0:
                self._save_within_epoch()
            self._heartbeat()
            if step % POLL_STEPS == 0 and self._stop_requested():
                return False
        return not self._stop_requested()

    def _batches(self, first: int) -> Iterator[Batch]:
        """Yield this process's rows of each batch of the epoch, from batch ``first`` on."""
        epoch = self.progress.epoch

        def drawn(purpose: str) -> torch.Generator:
            seed = derive_seed(self.config.seed, purpose, epoch)
            return torch.Generator().manual_seed(seed)

        yield from self.stream.batches(drawn, first, *self._own_rows())

    def _own_rows(self) -> tuple[int, int]:
        share = self.batch_size // self.accelerator.num_processes
        start = self.accelerator.process_index * share
        return start, start + share

    def _train_step(self, batch: Batch) -> None:
        step = self.progress.step
        draws = torch.Generator().manual_seed(derive_seed(self.config.seed, "draw", step))
        batch = self.parts.objective.draw(
            batch, BatchRandom(draws, *self._own_rows(), self.batch_size)
        )
        # Dropout follows from seed, step and process, so there is no random state to save.
        purpose = f"dropout/{self.accelerator.process_index}"
        torch.manual_seed(derive_seed(self.config.seed, purpose, step))
        rate = self.rate(step)
        if not math.isfinite(rate):
            raise DivergedError(
                f"The learning rate became {rate} in step {step + 1}. Change"
                f" training.learning_rate (now {self.options.learning_rate:g}) or its schedule."
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group[PART]
        with self.accelerator.autocast():
            loss = self.wrapped(to_device(batch, self.accelerator.device))["loss"]
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.parts.objective.finish_step(step)
        if self.average is not None:
            self.average.update()
        mean = float(self.accelerator.reduce(loss.detach(), reduction="mean"))
        # Before anything is saved or reported of a step that spoilt the weights.
        if not math.isfinite(mean):
            raise self._diverged(f"loss became {mean}", self.progress.epoch + 1)
        self.progress.loss_sum += mean
        self.progress.step += 1

    def _close_epoch(self) -> None:
        """Validate, remember the best weights, write the metrics line and a checkpoint."""
        progress = self.progress
        loss = progress.loss_sum / self.steps_per_epoch
        progress.epoch, progress.loss_sum = progress.epoch + 1, 0.0
        check_weights(self.parts.objective, progress.epoch, self.options.learning_rate)
        measures: dict[str, float] = {}
        if self.parts.val_set is not None:
            measures = validate(
                self.parts.objective,
                self.parts.objective.settled(self._current_model()),
                self.parts.val_set,
                layers=self._current_layers(),
                seed=self.config.seed,
            )
            measure = find_measure(self.parts.model, self.parts.val_set)
            value = monitored(measures, self.options.monitor, self.parts.model, measure)
            if not math.isfinite(value):
                what = f"value that training.monitor watches became {value}"
                raise self._diverged(what, progress.epoch)
            if progress.best is None or value < progress.best:
                progress.best, progress.best_epoch = value, progress.epoch
                if self.options.keep == "best":
                    self.best = {k: v.detach().cpu().clone() for k, v in self._current_weights()}
        if self.accelerator.is_main_process:
            row = self.row_of_epoch(loss, measures)
            log.info("epoch %d: %s", progress.epoch, _line(row))
            progress.rows.append(self.run_dir.append_metrics(row))
            self._draw_watched()
        self._save()
        self._heartbeat(force=True)

    def row_of_epoch(self, loss: float, measures: Mapping[str, float]) -> dict[str, Any]:
        """Give the line of the metrics for the epoch that has just ended."""
        return {
            **({"stage": self.plan.name} if self.plan.name else {}),
            "epoch": self.progress.epoch,
            "step": self.progress.step,
            "loss": loss,
            "learning_rate": self.rate(self.progress.step - 1),
            **measures,
            **self.parts.objective.told(),
            "seconds": round(self._seconds(), 3),
            **self.pace.numbers(),
        }

    def _draw_watched(self) -> None:
        model, epoch = self._current_model(), self.progress.epoch
        self.watched.draw(self.run_dir, self.plan.name, model, epoch)
        keep_space(self.run_dir, self.plan.name, model, epoch, self.options.space_every)

    def _diverged(self, what: str, epoch: int) -> DivergedError:
        return diverged(what, epoch, self.options.learning_rate)

    def _out_of_patience(self) -> bool:
        patience, progress = self.options.patience, self.progress
        if patience is None or progress.best is None:
            return False
        return progress.epoch - progress.best_epoch >= patience

    def _finish(self) -> TrainResult:
        model = self._current_model()
        if self.best is not None:
            best, layers = split_own(self.best)
            model.load_state_dict(best)
            copy_layers(self.parts.objective.layers(), layers)
        model = self.parts.objective.settled(model).eval().cpu()
        history = self.run_dir.read_metrics()
        if self.accelerator.is_main_process:
            finish_model(
                model,
                self.parts.train_set,
                self.parts.val_set,
                self.config,
                self.plan.directory,
                held_out=self.plan.held_out,
                epochs=self.progress.epoch if self.best is None else self.progress.best_epoch,
            )
            self._say_finished()
        self.accelerator.wait_for_everyone()
        return TrainResult(model, history, self.plan.directory, "finished")

    def _say_finished(self) -> None:
        best = f" (best epoch {self.progress.best_epoch})" if self.best is not None else ""
        message = f"finished after {self.progress.epoch} epochs{best}"
        if self.plan.last:
            self._status("finished", message=message)
        else:
            self._status("running", message=f"{self.plan.name}: {message}")

    def _current_model(self) -> DualEncoder:
        average = self.average
        return self.parts.model if average is None else average.model.module  # type: ignore[return-value]

    def _current_layers(self) -> Mapping[str, Tensor]:
        return self.parts.objective.layers() if self.average is None else self.average.layers

    def _current_weights(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._current_model().state_dict().items()
        yield from ((f"{OWN}{name}", value) for name, value in self._current_layers().items())

    def _stateful(self) -> dict[str, Stateful]:
        objective = OwnState(self.parts.objective)
        found: dict[str, Stateful] = {"model": self.parts.model, "objective": objective}
        return found if self.average is None else {**found, "average": self.average}

    def _plain_optimizer(self) -> torch.optim.Optimizer:
        inner: torch.optim.Optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        return inner

    def _seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self.clock

    def save(self) -> int:
        """Write a checkpoint; gives the bytes that it takes."""
        progress = dataclasses.replace(self.progress, seconds=self._seconds())
        return save_state(
            self.plan.checkpoints,
            progress,
            self._stateful(),
            self._plain_optimizer(),
            self.names,
            self.best,
            self.origin,
        )

    def _save_within_epoch(self) -> None:
        """Write a checkpoint, unless every run that resumed from it would diverge at once."""
        epoch = self.progress.epoch + 1
        check_weights(self.parts.objective, epoch, self.options.learning_rate)
        self._save()

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            self.run_dir.check_there()
            size = self.save()
            if not self.told_size:
                self.told_size = True
                log.info(
                    "a checkpoint takes %.2f MB; two are kept, and a third while it is written",
                    size / 1e6,
                )

    def _heartbeat(self, force: bool = False) -> None:
        if force or time.monotonic() - self.last_beat > HEARTBEAT_SECONDS:
            self.last_beat = time.monotonic()
            self.run_dir.check_there()
            which = f"{self.plan.name}, " if self.plan.name else ""
            self._status("running", message=f"{which}epoch {self.progress.epoch + 1}")

    def _status(self, state: str, message: str) -> None:
        if self.accelerator.is_main_process:
            left = self.total_steps - self.progress.step
            self.run_dir.write_status(
                state,
                message=message,
                step=self.progress.step,
                total_steps=self.total_steps,
                epoch=self.progress.epoch,
                epochs=self.epochs,
                seconds=round(self._seconds(), 1),
                seconds_left=0.0 if state == "finished" else self.pace.seconds_left(left),
                name=self.config.name,
                device=self.pace.name,
                **self.pace.numbers(),
            )

    def _stop_requested(self) -> bool:
        asked = [self.run_dir.stop_file.exists()]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(asked)  # all processes must leave at the same step
        return asked[0]


def _line(row: dict[str, Any]) -> str:
    told = ("calibrated_log_loss", "macro_ap", "miou", "mrr", "top5", "objective")
    keys = ("loss", *(f"val_{name}" for name in told))
    return ", ".join(f"{key} {row[key]:.4f}" for key in keys if key in row)
