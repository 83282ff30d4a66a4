"""The tables of an archive: its utterances, recordings and speakers."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gscon_live.common.errors import Failure
from gscon_live.common.files import replacing
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.realtime.archive.columns import (
    COLUMNS,
    OPTIONAL,
    RECORDINGS,
    Row,
    read_csv,
    write_csv,
    write_parquet,
)
from gscon_live.realtime.archive.entries import Entry, Failed, Voice
from gscon_live.realtime.archive.store import (
    CORRECTIONS,
    FRAMES_TABLE,
    SECONDS_TABLE,
    TABLE,
    Archive,
    details_name,
)
from gscon_live.realtime.archive.voices import Speaker
from gscon_live.realtime.events import sinks
from gscon_live.realtime.events.corrections import Corrections
from gscon_live.realtime.events.corrections import read as read_corrections


def write_tables(archive: Archive, who: Mapping[Speaker, str] | None = None) -> list[Path]:
    """Writes all tables of an archive anew, and returns their files.

    Args:
        archive: what they are about.
        who: the people behind the speakers; None: nobody was looked for.

    Raises:
        InputError: the file of corrections is none.
        Failure: one cannot be written; what was there before is left as it was.
    """
    entries = [archive.done[path] for path in sorted(archive.done)]
    failures = [archive.failed[path] for path in sorted(archive.failed)]
    who = {} if who is None else who
    rows: dict[str, Iterable[Row]] = {
        "utterances": _utterances(archive, entries, who),
        "recordings": _recordings(entries, failures),
        "speakers": _speakers(entries, who),
    }
    detailed = [e for e in entries if archive.details.there(details_name(e.folder))]
    if detailed:
        rows["seconds"] = _details(archive, detailed, SECONDS_TABLE)
        rows["frames"] = _details(archive, detailed, FRAMES_TABLE)
    if who:
        rows["people"] = _people(entries, who)
    for name in OPTIONAL:
        if name not in rows:
            for ending in (".csv", ".parquet"):
                (archive.out / f"{name}{ending}").unlink(missing_ok=True)
    paths = []
    for name in rows:
        path = archive.out / f"{name}.csv"
        try:
            with replacing(path, alone=False) as unfinished:
                write_csv(unfinished, COLUMNS[name], rows[name])
            paths.append(path)
            parquet = path.with_suffix(".parquet")
            if importlib.util.find_spec("pyarrow") is not None:
                with replacing(parquet, alone=False) as unfinished:
                    write_parquet(unfinished, name, COLUMNS[name], read_csv(path))
                paths.append(parquet)
            else:
                # An older one would tell something else than the new table.
                parquet.unlink(missing_ok=True)
        except OSError as error:
            raise Failure(
                f"{path}: {error.strerror or error}; check permissions and space left"
            ) from error
    return paths


def corrections_of(archive: Archive) -> Corrections:
    """What people say of its utterances. Raises `InputError` where the file is none."""
    path = archive.out / CORRECTIONS
    return read_corrections(path) if path.is_file() else Corrections()


def _utterances(
    archive: Archive, entries: Sequence[Entry], who: Mapping[Speaker, str]
) -> Iterator[Row]:
    corrections, speaker = corrections_of(archive), sinks.Csv.COLUMNS.index("speaker")
    for entry in entries:
        for row in read_csv(archive.results.path / entry.folder / TABLE):
            person = who.get((entry.folder, row[speaker]), "")
            yield [*_corrected(row, corrections), entry.folder, entry.path, person]


def _corrected(row: Row, corrections: Corrections) -> Row:
    """A row of an utterance as people corrected it, as `events.corrections` corrects events."""
    cells = dict(zip(sinks.Csv.COLUMNS, row, strict=True))
    human = corrections.of(cells["session"], int(cells["id"]), cells["speaker"])
    if human.label is not None:
        confidence = cells[f"p_{human.label}"] if human.label != cells["label"] else None
        cells |= {"model_label": cells["label"], "label": human.label, "abstained": "false"}
        cells["confidence"] = cells["confidence"] if confidence is None else confidence
    cells["speaker"] = human.speaker or cells["speaker"]
    return [*cells.values()]


def _details(archive: Archive, entries: Sequence[Entry], table: str) -> Iterator[Row]:
    for entry in entries:
        for row in read_csv(archive.details.path / details_name(entry.folder) / table):
            yield [*row, entry.folder, entry.path]


def _recordings(entries: Sequence[Entry], failures: Sequence[Failed]) -> Iterator[Row]:
    for entry in entries:
        facts, summary = entry.facts, entry.summary
        voices = list(summary.speakers.values())
        yield [
            *(entry.path, entry.folder, facts.name, summary.session, "done", ""),
            *(summary.duration, summary.utterances, len(voices)),
            round(sum(voice.seconds for voice in voices), 3),
            _mean_confidence(voices),
            *(sum(voice.abstained for voice in voices), summary.gaps),
            *(sum(voice.labels.get(emotion, 0) for voice in voices) for emotion in EMOTIONS),
            *(summary.missing.get(modality, 0) for modality in MODALITIES),
            *(_bool(facts.has_audio), _bool(facts.has_video), _bool(facts.has_captions)),
            *(summary.model, " | ".join(summary.notices)),
        ]
    for failure in failures:
        known = [failure.path, "", Path(failure.path).name, "", "failed", failure.reason]
        yield known + [""] * (len(RECORDINGS) - len(known))


def _speakers(entries: Sequence[Entry], who: Mapping[Speaker, str]) -> Iterator[Row]:
    for entry in entries:
        for name, voice in entry.summary.speakers.items():
            person = who.get((entry.folder, name), "")
            yield [entry.path, entry.folder, entry.facts.name, name, *_spoken([voice]), person]


def _people(entries: Sequence[Entry], who: Mapping[Speaker, str]) -> Iterator[Row]:
    """A row for each person, in order of appearance."""
    voices: dict[str, list[Voice]] = {}
    folders: dict[str, set[str]] = {}
    for entry in entries:
        for name, voice in entry.summary.speakers.items():
            person = who.get((entry.folder, name))
            if person is not None:
                voices.setdefault(person, []).append(voice)
                folders.setdefault(person, set()).add(entry.folder)
    for person, own in voices.items():
        yield [person, len(folders[person]), len(own), *_spoken(own)]


def _spoken(voices: Sequence[Voice]) -> Row:
    """What some speakers said, all together: number, seconds, mean confidence, how many answers
    abstain, counts and mean probabilities of the emotions."""
    count = sum(voice.utterances for voice in voices)
    return [
        count,
        round(sum(voice.seconds for voice in voices), 3),
        _mean_confidence(voices),
        sum(voice.abstained for voice in voices),
        *(sum(voice.labels.get(emotion, 0) for voice in voices) for emotion in EMOTIONS),
        *(
            round(sum(v.probabilities.get(emotion, 0.0) * v.utterances for v in voices) / count, 4)
            for emotion in EMOTIONS
        ),
    ]


def _mean_confidence(voices: Sequence[Voice]) -> float | str:
    count = sum(voice.utterances for voice in voices)
    if not count:
        return ""
    return round(sum(voice.confidence * voice.utterances for voice in voices) / count, 4)


def _bool(value: bool) -> str:
    return "true" if value else "false"
