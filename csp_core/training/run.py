"""Training: one call for every configuration, in one stage or two."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import accelerate
import torch
from accelerate.state import AcceleratorState

from csp_core.config import RunConfig
from csp_core.errors import ConfigError, CspError
from csp_core.runs import RunDir, log_to
from csp_core.runs.causes import cause_of
from csp_core.runs.reserve import give_room, room
from csp_core.training.limits import check_limits
from csp_core.training.loop import Stage
from csp_core.training.plan import Plan, TrainResult, plan_stages, trained_epochs
from csp_core.training.teachers import check_outside

log = logging.getLogger(__name__)


def train(config: RunConfig, *, run_dir: str | Path, resume: bool = False) -> TrainResult:
    """Train a model as configured; everything that happens is written to the run directory.

    Under ``accelerate launch`` or ``torch.distributed.run`` all processes call this and share each
    batch. Touching ``control/stop`` (``csp stop``) or SIGTERM saves and ends the run; ``resume``
    goes on from the last checkpoint as if nothing had happened.

    Args:
        config: What to train.
        run_dir: Where the run lives.
        resume: Go on with a run that stands there instead of starting one.

    Returns:
        The result.

    Raises:
        ConfigError: If the parts do not fit, this machine does not allow it, or the loss is
            no longer finite.
        CheckpointError: If a run stands there already, cannot be resumed or cannot be written.
        DataNotFoundError: If the data is not there.
    """
    run = RunDir(Path(run_dir))
    plans = plan_stages(config, run)
    check_limits(config)
    check_outside(config)
    if config.training.threads:
        torch.set_num_threads(config.training.threads)
    accelerator = make_accelerator(config)
    run.create()
    with run.explain_unwritable(), ExitStack() as stack:
        if accelerator.is_main_process:
            stack.enter_context(run.lock())
            if not resume:
                run.check_free()  # a run that stands here is left as it is
        try:
            with run.explain_unwritable(), explain_memory(config):
                if accelerator.is_main_process:
                    _begin(config, run, stack, resume=resume)
                stack.enter_context(run.stop_on_sigterm())
                result = _run_stages(plans, run, accelerator)
        except KeyboardInterrupt:
            if accelerator.is_main_process:
                with suppress(OSError, CspError):
                    run.check_there()
                    run.write_end("stopped", message="interrupted; `csp resume` goes on")
            raise
        except BaseException as error:
            if accelerator.is_main_process:
                _tell_failure(error, run)
            raise
        finally:
            accelerator.end_training()
    return result


def _begin(config: RunConfig, run: RunDir, stack: ExitStack, *, resume: bool) -> None:
    stack.enter_context(log_to(run.log, logging.getLogger("csp_core.training")))
    what = "loading data, asking the teachers" if config.teachers else "loading data"
    run.claim(config.to_yaml(), resume=resume, message=what, name=config.name)
    stack.enter_context(room(run.stop_file.parent))
    if not resume:  # of a run that failed here before
        shutil.rmtree(run.artifacts, ignore_errors=True)


def _tell_failure(error: BaseException, run: RunDir) -> None:
    """Say in the log and the status why the run ended."""
    kind = "" if isinstance(error, CspError) else f"{type(error).__name__}: "
    give_room(run.stop_file.parent)  # a full disk takes a last word all the same
    log.error("failed: %s%s", kind, error)
    with suppress(OSError, CspError):  # others may have filled it meanwhile, or the run is gone
        run.check_there()
        run.write_end("failed", message=f"{kind}{error}", cause=cause_of(error))


@contextmanager
def explain_memory(config: RunConfig) -> Iterator[None]:
    """Say in one sentence that memory ran out, and what to lower.

    Args:
        config: The run.

    Yields:
        Nothing.

    Raises:
        ConfigError: In the place of what was raised for want of memory.
    """
    try:
        yield
    except Exception as error:
        if cause_of(error) != "memory":
            raise
        where = "GPU" if "CUDA" in str(error) else "machine"
        said = str(error).strip().split("\n")[0][:200]
        options = config.training
        raise ConfigError(
            f"The {where} has not enough memory for this run{f' ({said})' if said else ''}. Lower"
            f" training.batch_size (now {options.batch_size}) or model.dim (now"
            f" {config.model.dim}), or end other programs."
        ) from error


def _run_stages(
    plans: Sequence[Plan], run: RunDir, accelerator: accelerate.Accelerator
) -> TrainResult:
    """Do the stages that are not done yet, up to the last or to a stop."""
    for plan in plans:
        if plan.last or trained_epochs(plan.directory) is None:
            if plan.name and accelerator.is_main_process:
                log.info("%s", plan.name)
                asks = "loading data, asking the teachers" if plan.networks else "loading data"
                run.write_status("starting", message=f"{plan.name}, {asks}", name=plan.config.name)
            result = Stage(plan, run, accelerator).run()
            if result.state != "finished":
                break
    return result


def make_accelerator(config: RunConfig) -> accelerate.Accelerator:
    """Make what moves models and batches to the device and between processes.

    Args:
        config: The run.

    Returns:
        The accelerator.

    Raises:
        ConfigError: If the machine has no such device, or it cannot compute so.
    """
    # Accelerate keeps one state a process; a second run in it may ask for another device.
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    device, precision = config.training.device, config.training.precision
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("training.device is 'cuda', but no GPU is found. Use 'auto' or 'cpu'.")
    use_cpu = device == "cpu" or not torch.cuda.is_available()
    if use_cpu and precision == "fp16":
        raise ConfigError("training.precision 'fp16' needs a GPU; use 'no' or 'bf16' on the CPU.")
    return accelerate.Accelerator(cpu=use_cpu, mixed_precision=precision)
