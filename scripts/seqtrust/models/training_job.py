"""One replicate from files to a file, in one process or several."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seqtrust.genome import Genome, SplitRegions
from seqtrust.models.architectures import described_parameters
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.model import Model
from seqtrust.models.training_basenji import train_on_basenji
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_set import train_replicate
from seqtrust.models.training_settings import MASK
from seqtrust.motifs import read_meme
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import open_targets


@dataclass(frozen=True)
class TrainingJob:
    """Plain types only: the job goes from process to process as JSON.

    Attributes:
        inputs: paths by name: sequences, targets, splits, fasta and perhaps bias and motifs; a
            name may have several.
        output: of the replicate.
        state: of the unfinished run.
        code: digest of the code that trains.
        assembly: of the FASTA.
        build: of its genome.
        seed: of the replicate.
        threads: of torch in each process.
        device: `cpu` or `cuda`.
        settings: the `train` entry of the config; `processes` as they are started.
    """

    inputs: Mapping[str, Any]
    output: str
    state: str
    code: str
    assembly: str
    build: str
    seed: int
    threads: int
    device: str
    settings: Mapping[str, Any]

    @property
    def processes(self) -> int:
        """How many train together."""
        return int(self.settings["processes"])

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "TrainingJob":
        """The inverse of `to_json`."""
        return cls(**json.loads(text))

    def run(self, progress: Callable[[str], None], first: bool = True) -> None:
        """Train, and write the replicate where this is the first process.

        Args:
            progress: gets what is reported.
            first: whether this process writes.
        """
        checkpoint = Checkpoint(Path(self.state), self.settings["checkpoint_minutes"], self.code)
        parameters = described_parameters(
            self.settings["architecture"],
            self.settings["parameters"],
            self.inputs.get("parameters_file"),
        )
        settings = {**self.settings, "parameters": parameters}
        if "basenji" in settings:
            model = train_on_basenji(
                seed=self.seed,
                threads=self.threads,
                device=self.device,
                build=self.build,
                settings=settings,
                progress=progress,
                checkpoint=checkpoint,
            )
        else:
            model = self._train_on_set(settings, progress, checkpoint)
        if first:
            save_replicate(self.output, model)
            checkpoint.remove()

    def _train_on_set(
        self,
        settings: Mapping[str, Any],
        progress: Callable[[str], None],
        checkpoint: Checkpoint,
    ) -> Model:
        genome = Genome(self.inputs["fasta"], self.assembly, self.build)
        missing = settings["missing_targets"] == MASK
        bias = self.inputs.get("bias")
        return train_replicate(
            read_sequence_set(self.inputs["sequences"]),
            open_targets(self.inputs["targets"], genome, missing=missing),
            SplitRegions.from_bed(self.inputs["splits"], genome),
            seed=self.seed,
            threads=self.threads,
            device=self.device,
            build=genome.build,
            settings=settings,
            progress=progress,
            checkpoint=checkpoint,
            bias=load_replicate(bias) if bias else None,
            motifs=read_meme(self.inputs["motifs"]) if "motifs" in self.inputs else (),
        )
