"""Search for the numbers of the fine-tuning: trials, each a training of its own, compared by their validation loss.

Here belong the space that is searched, the study and its table. A trial trains as `lora_adapter` does, by the same
function; who is told of it, the asset says.

    sweep = Sweep(base, train, validation, FineTuningSettings(), SweepSettings(trials=10))
    trials = sweep.run(work, run, reporter, print)    # a row a trial: its numbers, loss, state, seconds
    run_config(sweep.settled(best_trial(trials)))     # YAML: ops: lora_adapter: config: learning_rate: ...
"""

import functools
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import yaml
from pydantic import BaseModel, Field

from cs_assets.learning.adapters import LOW_RANK
from cs_assets.learning.conversations import Message, prompt_completion_pairs
from cs_assets.learning.models import release_memory
from cs_assets.learning.progress import Report
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import Untrainable
from cs_assets.profiles import by_profile
from cs_assets.samples.folds import spaced_evenly
from resources.tracking import TrackedRun

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

SEARCHED: Final = ("learning_rate", "rank", "batch_size", "epochs")
_COMPLETE: Final = "complete"
SCHEMA: Final[dict[str, Any]] = {
    "trial": pl.Int64,
    "learning_rate": pl.Float64,
    "rank": pl.Int64,
    "batch_size": pl.Int64,
    "epochs": pl.Float64,
    "validation_loss": pl.Float64,  # of the state that was kept; where the trial was stopped, the last one measured
    "state": pl.String,  # complete; pruned; untrainable: the loss was not a number, or the memory too small
    "seconds": pl.Float64,  # since a kill, if there was one
}


class SweepSettings(BaseModel):
    """How many trials, and the space they are drawn from."""

    trials: int = by_profile(
        demo=0,
        full=20,
        description="Trainings to try; 0: none. The first one has the numbers of the fine-tuning as they are.",
        ge=0,
    )
    startup_trials: int = Field(
        default=5,
        description="Trials drawn at random, and none stopped early, before the search learns from them.",
        ge=1,
    )
    share: float = Field(default=1.0, description="Share of the training samples that a trial takes.", gt=0, le=1)
    measures: int = Field(
        default=5,
        description="Times that a trial measures its validation loss, at even distances, in the place of "
        "checkpoint_steps; it is stopped where its best one is worse than the median of the trials before it.",
        ge=1,
    )
    lowest_learning_rate: float = Field(default=5e-5, description="Learning rates are drawn from here ...", gt=0)
    highest_learning_rate: float = Field(default=2e-3, description="... to here, by their logarithm.", gt=0)
    ranks: list[int] = Field(
        default=[8, 16, 32, 64], description="LoRA ranks; alpha goes with them, so that alpha / rank stays."
    )
    batch_sizes: list[int] = by_profile(demo=[2, 4, 8], full=[8, 16, 32], description="Samples per step.")
    epoch_counts: list[float] = by_profile(demo=[0.5, 1.0, 2.0], full=[1.0, 2.0, 3.0], description="Passes over them.")


@dataclass(frozen=True)
class Sweep:
    """One search.

    Attributes:
        base: folder of the base model.
        train, validation: the conversations of both splits.
        fine_tuning: the numbers of the first trial, and of every other all that is not searched.
        settings: how many trials, and the space.
    """

    base: str
    train: list[list[Message]]
    validation: list[list[Message]]
    fine_tuning: FineTuningSettings
    settings: SweepSettings

    def __post_init__(self) -> None:
        """Refuse what no trial could be judged by.

        Raises:
            ValueError: there is no validation split.
        """
        if not self.validation:
            raise ValueError("the split `validation` is empty, and trials are compared by its loss; raise its count.")

    def run(
        self, work: Path, parent: TrackedRun, reporter: Callable[[TrackedRun], Report], say: Callable[[str], None]
    ) -> pl.DataFrame:
        """Train every trial that is not done yet.

        Args:
            work: holds the study and the checkpoints of the trial at work; a second call with the same folder goes on.
            parent: the tracking run that gets a nested run a trial.
            reporter: is given a trial's run, and returns who is told its progress.
            say: is told of each trial what it tries, and how it ended.

        Returns:
            One row a trial.
        """
        from optuna.samplers import TPESampler

        study = self._study(work)
        _queue(study, {name: getattr(self.fine_tuning, name) for name in SEARCHED})
        done = _finished(study)
        for number, finished in enumerate(done):  # of a run that was killed; this run shows them with the others
            with parent.nested(f"trial {number}", finished.params) as run:
                _record(run, finished)
        for number in range(len(done), self.settings.trials):
            # A seed a trial: one for all would begin again after a kill, and draw what was drawn already.
            seed = self.fine_tuning.seed + number
            study.sampler = TPESampler(seed=seed, n_startup_trials=self.settings.startup_trials)
            trial = study.ask()
            for place, loss in trial.user_attrs.get("measured", {}).items():
                trial.report(loss, int(place))
            settings = self._suggested(trial)
            say(f"trial {number} of {self.settings.trials}: {trial.params}")
            with parent.nested(f"trial {number}", trial.params) as run:
                told = self._train(study, trial, settings, work / f"trial-{number:03d}", reporter(run))
                _record(run, told)
            say(f"trial {number}: {_state(told)}, validation loss {told.value}, {_seconds(told):.0f} s")
        return _table(study)

    def settled(self, trial: Mapping[str, Any]) -> FineTuningSettings:
        """Return the settings with which the whole training split is trained as this row of the table was."""
        return self._with(trial, self.train)

    def _with(self, numbers: Mapping[str, Any], conversations: list[list[Message]]) -> FineTuningSettings:
        """Return the settings with the `SEARCHED` numbers, and what depends on them and on the number of samples."""
        searched = {name: numbers[name] for name in SEARCHED}
        answers = sum(len(prompt_completion_pairs(messages)) for messages in conversations)
        a_step = searched["batch_size"] * self.fine_tuning.gradient_accumulation
        steps = math.ceil(answers * searched["epochs"] / a_step)
        derived = {
            "alpha": max(1, round(self.fine_tuning.alpha / self.fine_tuning.rank * searched["rank"])),
            "checkpoint_steps": math.ceil(steps / self.settings.measures),
            "patience": self.fine_tuning.patience or self.settings.measures,  # without one, nothing is measured
        }
        return FineTuningSettings.model_validate(self.fine_tuning.model_dump() | searched | derived)

    def _suggested(self, trial: "Trial") -> FineTuningSettings:
        now, space = self.fine_tuning, self.settings
        rates = (space.lowest_learning_rate, space.highest_learning_rate, now.learning_rate)
        choices: dict[str, set[Any]] = {
            "rank": {now.rank, *(space.ranks if now.method in LOW_RANK else [])},
            "batch_size": {now.batch_size, *space.batch_sizes},
            "epochs": {now.epochs, *space.epoch_counts},
        }
        drawn: dict[str, Any] = {
            "learning_rate": trial.suggest_float("learning_rate", min(rates), max(rates), log=True)
        }
        for name, values in choices.items():
            drawn[name] = trial.suggest_categorical(name, sorted(values))
        return self._with(drawn, self._share())

    def _share(self) -> list[list[Message]]:
        """Return the training conversations that a trial takes, at even distances."""
        count = max(1, round(self.settings.share * len(self.train)))
        return [self.train[place] for place in spaced_evenly(len(self.train), count)]

    def _train(
        self, study: "Study", trial: "Trial", settings: FineTuningSettings, place: Path, report: Report
    ) -> "FrozenTrial":
        """Train one trial, in a folder that goes with its end, and tell the study how it ended."""
        from optuna import TrialPruned
        from optuna.trial import TrialState

        watch = functools.partial(self._measured, trial)
        ending: dict[str, Any] = {"state": TrialState.PRUNED}
        try:
            log = train_adapter(
                self.base, self._share(), self.validation, settings, place / "model", place, report, watch
            )
            ending = {"values": log.metrics()["validation_loss"]}
        except TrialPruned:
            pass
        except Untrainable as error:
            trial.set_user_attr("untrainable", str(error))
        told = study.tell(trial, **ending)
        release_memory()
        shutil.rmtree(place, ignore_errors=True)
        return told

    def _measured(self, trial: "Trial", step: int, steps: int, loss: float) -> None:
        """Compare a trial with those before it at the same share of their steps, however many these are.

        Raises:
            TrialPruned: it is worse than the median of them.
            Untrainable: the loss is not a number.
        """
        from optuna import TrialPruned

        if math.isnan(loss):
            raise Untrainable("the validation loss is not a number; lower learning_rate and run again.")
        trial.report(loss, self.settings.measures * step // steps)
        if step < steps and trial.should_prune():
            raise TrialPruned

    def _study(self, work: Path) -> "Study":
        """Return the study in the work folder, as far as it has got."""
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        work.mkdir(parents=True, exist_ok=True)
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(work / "optuna.log"))),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=self.settings.startup_trials),
            study_name="sweep",
            load_if_exists=True,
        )


def best_trial(trials: pl.DataFrame) -> dict[str, Any]:
    """Return the row with the lowest validation loss, of the trials that were trained to their end.

    Raises:
        ValueError: there is none.
    """
    ended = trials.filter(pl.col("state") == _COMPLETE).sort("validation_loss", "trial")
    if ended.is_empty():
        raise ValueError(
            f"none of {trials.height} trials was trained to its end; lower highest_learning_rate or batch_sizes."
        )
    return ended.row(0, named=True)


def outcome(trials: pl.DataFrame) -> str:
    """Return in words what was gained over the first trial, which had the numbers as they were."""
    first, best = trials.row(0, named=True), best_trial(trials)
    began = "none" if first["validation_loss"] is None else f"{first['validation_loss']:.4f}"
    return f"validation loss {best['validation_loss']:.4f} in trial {best['trial']}, {began} in the first"


def run_config(settings: FineTuningSettings) -> str:
    """Return settings as the run config of `lora_adapter`, in YAML."""
    return yaml.safe_dump({"ops": {"lora_adapter": {"config": settings.model_dump()}}}, sort_keys=False)


def _queue(study: "Study", first: Mapping[str, Any]) -> None:
    """Queue what comes before anything is drawn: at the beginning `first`, later the trial that a kill has cut."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(first))
    for cut in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(cut.number, state=TrialState.FAIL)
        study.enqueue_trial(cut.params, user_attrs={"measured": cut.intermediate_values})


def _finished(study: "Study") -> "list[FrozenTrial]":
    """Return the trials that are done, in order; one that a kill has cut is not, and goes on as another."""
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _state(trial: "FrozenTrial") -> str:
    return "untrainable" if "untrainable" in trial.user_attrs else trial.state.name.lower()


def _seconds(trial: "FrozenTrial") -> float:
    return trial.duration.total_seconds() if trial.duration else 0.0


def _record(run: TrackedRun, trial: "FrozenTrial") -> None:
    """Log how a trial ended."""
    loss = {} if trial.value is None else {"validation_loss": trial.value}
    run.log_metrics({"seconds": _seconds(trial), **loss})
    run.set_tags({"state": _state(trial), "reason": trial.user_attrs.get("untrainable", "")})


def _table(study: "Study") -> pl.DataFrame:
    rows = [
        {
            "trial": number,
            **trial.params,
            "validation_loss": trial.value,
            "state": _state(trial),
            "seconds": round(_seconds(trial), 1),
        }
        for number, trial in enumerate(_finished(study))
    ]
    return pl.DataFrame(rows, schema=SCHEMA)
