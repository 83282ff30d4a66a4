"""Training of the face encoder on FER2013's pictures, by its labels or by FER+'s votes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from gscon_live.model.encoders.face.face_encoder import FaceNet, flip_averaged
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import ferplus
from gscon_live.train.corpora.fer2013 import Faces
from gscon_live.train.corpora.labelled_faces import scored_faces, training_faces
from gscon_live.train.encoders.face.augmentation import augment
from gscon_live.train.encoders.face.recipe import FaceRecipe
from gscon_live.train.encoders.labelled_rows import RowsPart, cross_entropy, split
from gscon_live.train.engine.losses import Terms
from gscon_live.train.engine.trainer import SELECTION_SCORE, ParameterGroup, Plan, Task
from gscon_live.train.progress import Display
from gscon_live.train.runs.resumable import train_in
from gscon_live.train.runs.run_folder import TrainingFolder
from gscon_live.train.scoring.metrics import Scores, score


@dataclass(frozen=True)
class FaceResult:
    """The network of the best epoch, and its scores on validation and test. Of a recipe with FER+,
    `own_labels` are those on all test pictures by FER2013's own labels."""

    net: FaceNet
    best_epoch: int
    validation: Scores
    test: Scores
    own_labels: Scores | None = None


class FaceTask(Task[RowsPart]):
    """The face encoder in training.

    Args:
        recipe: the training.
        fabric: the device.
        start: weights to begin with; None: random ones.

    Raises:
        InputError: the corpus is missing.
    """

    def __init__(
        self, recipe: FaceRecipe, fabric: Fabric, start: Mapping[str, Tensor] | None = None
    ) -> None:
        self.recipe, self.fabric = recipe, fabric
        train = training_faces(recipe.corpus)
        self.validation = scored_faces(recipe.corpus, "validation")
        torch.manual_seed(recipe.seed)
        self.net = FaceNet(recipe.dropout)
        if start is not None:
            self.net.load_state_dict(start)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner = self.net
        draw = torch.Generator().manual_seed(recipe.seed)
        rows = torch.randperm(len(train.shares), generator=draw)[: recipe.limit]
        self._pixels = fabric.to_device(torch.from_numpy(train.pixels)[rows])
        self._shares = fabric.to_device(torch.from_numpy(train.shares)[rows])
        self.steps = -(-len(rows) // recipe.batch)

    def epoch(self, random: torch.Generator, parts: int) -> Iterator[Sequence[RowsPart]]:
        order = self.fabric.to_device(torch.randperm(len(self._shares), generator=random))
        for rows in torch.split(order, self.recipe.batch):
            yield split(rows, parts)

    def loss(self, part: RowsPart, random: torch.Generator, measure: bool) -> Terms:
        faces = augment(_scaled(self._pixels[part.rows]), self.recipe)
        with self.fabric.autocast():
            _, logits = self.net(faces)
        return cross_entropy(logits, self._shares[part.rows], self.recipe.label_smoothing, part)

    def scores(self) -> dict[str, float]:
        accuracy = evaluate(self.net, self.validation).accuracy
        return {"validation_accuracy": accuracy, SELECTION_SCORE: accuracy}

    def groups(self, plan: Plan) -> list[ParameterGroup]:
        """No weight decay on biases and normalisations."""
        matrices = [p for p in self.net.parameters() if p.dim() > 1]
        vectors = [p for p in self.net.parameters() if p.dim() < 2]
        return [
            ParameterGroup(matrices, plan.learning_rate, plan.weight_decay),
            ParameterGroup(vectors, plan.learning_rate, 0.0),
        ]


def train_face(task: FaceTask, training: TrainingFolder, display: Display) -> FaceResult:
    """Trains, or resumes from the folder's state. Selects the epoch on PublicTest, and scores
    PrivateTest once."""
    best_epoch = learn(task, training, display, "face encoder")
    net, corpus = task.net.cpu(), task.recipe.corpus
    return FaceResult(
        net,
        best_epoch,
        evaluate(net, task.validation),
        evaluate(net, scored_faces(corpus, "test")),
        _own_labels(net) if corpus == "ferplus" else None,
    )


def learn(task: FaceTask, training: TrainingFolder, display: Display, title: str) -> int:
    """Trains, or resumes from the folder's state, and loads the weights of the best epoch on
    PublicTest into the task's network; returns this epoch."""
    recipe = task.recipe
    plan = Plan(
        seed=recipe.seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warm_up=recipe.warm_up,
        optimiser="sgd",
        momentum=recipe.momentum,
        clip=5.0,
        average=recipe.average,
    )
    state = train_in(
        training, task, plan, task.fabric, display, title, figure="validation_accuracy"
    )
    return state.best_epoch


def _own_labels(net: FaceNet) -> Scores:
    """Scores on all of FER+'s test pictures by FER2013's own labels."""
    test = ferplus.load("test")
    return evaluate(net, Faces(test.pixels, test.labels))


def evaluate(net: FaceNet, faces: Faces) -> Scores:
    """Scores of the network on faces, with its live test-time augmentation."""
    net.eval()
    device = next(net.parameters()).device
    parts = torch.split(torch.from_numpy(faces.pixels), 512)
    with torch.inference_mode():
        answers = [flip_averaged(net, _scaled(part.to(device)))[1].cpu() for part in parts]
    return score(torch.cat(answers).double().numpy(), faces.labels, EMOTIONS)


def _scaled(pixels: Tensor) -> Tensor:
    """Faces uint8 [n, 48, 48] as float32 [n, 1, 48, 48], 0 to 1."""
    return pixels[:, None].float() / 255
