"""Feature files of the literature: read whole where they are what they say, and never run.

The public files may not be passed on; these are small files of the same layouts.
"""

import builtins
import io
import os
import pickle
import pickletools
import struct
import sys
import tracemalloc
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gscon_live.common.cli import run
from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import data_folder, feature_pickles, unpickle
from gscon_live.train.corpora.dataset import FeaturedCorpus, batch
from gscon_live.train.corpora.iemocap_meld_emorynlp import _LAYOUTS, load_table

Parts = dict[str, Any]


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def written(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


# What is inside comes out.

NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)
ARRAYS = st.one_of(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_, np.dtype(">f4")]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    arrays.arrays(np.dtype("U5"), 3, elements=st.text("ab\u00e9", max_size=5)),
)
CONTENTS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=10,
)


@given(content=CONTENTS, protocol=st.integers(0, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_plain_contents_come_back_as_they_were(
    tmp_path: Path, content: object, protocol: int
) -> None:
    assert unpickle.load(written(tmp_path / "one.pkl", content, protocol)) == content


@given(array=ARRAYS, protocol=st.integers(0, 5), fortran=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_arrays_come_back_as_they_were(
    tmp_path: Path, array: np.ndarray[Any, Any], protocol: int, fortran: bool
) -> None:
    given_array = np.asfortranarray(array) if fortran else array
    found = unpickle.load(written(tmp_path / "one.pkl", given_array, protocol))
    assert isinstance(found, np.ndarray)
    assert found.shape == given_array.shape
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, given_array)


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_the_public_files_are_read(tmp_path: Path, protocol: int) -> None:
    content = {
        "set": {"a", "b"},
        "frozen": frozenset([1, 2]),
        "ordered": OrderedDict(b=1, a=2),
        "default": defaultdict(list, {3: [4]}),
        "number": np.float64(2.5),
        "whole": np.int32(-7),
        "rows": [np.arange(3.0), np.arange(3.0)],
        "objects": np.array(["a", None, [1]], object),
        "mutable": b"",
    }
    found = unpickle.load(written(tmp_path / "one.pkl", content, protocol))
    assert isinstance(found, dict)
    assert list(found["ordered"]) == ["b", "a"]
    np.testing.assert_array_equal(found.pop("rows"), content.pop("rows"))
    np.testing.assert_array_equal(found.pop("objects"), content.pop("objects"))
    assert found == content


def test_pickles_of_older_numpy_and_of_python_2_are_read(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    content = {"a": np.arange(4.0).reshape(2, 2), "b": np.float32(1.5)}
    new = pickle.dumps(content, 2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old.count(b"numpy.core.multiarray") == 2
    for data in (old, new.replace(b"numpy.core.", b"numpy._core.")):
        path.write_bytes(data)
        found = unpickle.load(path)
        assert isinstance(found, dict)
        np.testing.assert_array_equal(found["a"], content["a"])
        assert found["b"] == 1.5
    # What Python 2.7 and numpy 1.16 write for numpy.array([1.0, -2.0], 'f4') with protocol 2:
    # bytes are 8-bit strings.
    data = np.array([1, -2], "<f4").tobytes()
    path.write_bytes(
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(data)]) + data + b"tb."
    )
    np.testing.assert_array_equal(np.asarray(unpickle.load(path)), [1, -2])


# What would run is refused, and does not run.


class Calls:
    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


def global_of(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def stack_global(module: str, name: str) -> bytes:
    made = b"\x80\x04"
    for text in (module, name):
        made += b"\x8c" + bytes([len(text)]) + text.encode()
    return made + b"\x93"


HOSTILE = {
    "system": lambda mark: pickle.dumps(Calls(os.system, f"touch {mark}")),
    "nested": lambda mark: pickle.dumps({"a": [(1, Calls(os.system, f"touch {mark}"))]}, 2),
    "eval": lambda mark: pickle.dumps(Calls(eval, f"open({str(mark)!r}, 'w')")),
    "exec": lambda mark: pickle.dumps(Calls(exec, f"open({str(mark)!r}, 'w')")),
    "open": lambda mark: pickle.dumps(Calls(open, str(mark), "w"), 4),
    "inside an array": lambda mark: pickle.dumps(
        np.array([Calls(os.system, f"touch {mark}")], object)
    ),
    "getattr": lambda mark: pickle.dumps(Calls(getattr, np.zeros(1), "tofile"), 4),
    "dotted name": lambda mark: stack_global("numpy", "ndarray.tofile") + b".",
    "name through a module": lambda mark: stack_global("numpy", "dtype.__class__") + b".",
    "old instance": lambda mark: b"(S'touch " + str(mark).encode() + b"'\nios\nsystem\n.",
    "numpy.load": lambda mark: pickle.dumps(Calls(np.load, "x.npy")),
    "numpy.memmap": lambda mark: global_of("numpy", "memmap") + b".",
    "numpy.fromfile": lambda mark: global_of("numpy", "fromfile") + b".",
    "other codec": lambda mark: global_of("_codecs", "encode") + b"(Vx\nVrot13\ntR.",
    "extension": lambda mark: b"\x80\x02\x82\x01.",
    "persistent": lambda mark: b"Pos.system\n.",
    "import": lambda mark: global_of("builtins", "__import__") + b"(Vos\ntR.",
    # Setting attributes of what is allowed, to be met by a later part of the file.
    "attribute of a name": lambda mark: (
        b"\x80\x02" + global_of("numpy", "dtype") + b"}Vcode\nVx\nsb."
    ),
    "slots of a name": lambda mark: (
        b"\x80\x02" + global_of("numpy", "ndarray") + b"N}V__setstate__\nVx\ns\x86b."
    ),
    "new object of a name": lambda mark: b"\x80\x02" + global_of("builtins", "list") + b")\x81.",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("error")
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path, name: str) -> None:
    mark, path = tmp_path / "mark", tmp_path / "one.pkl"
    path.write_bytes(HOSTILE[name](mark))
    assert "one.pkl" in refused(lambda: unpickle.load(path))
    assert not mark.exists()


def test_the_refused_name_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "one.pkl", Calls(os.system, "true"))
    assert f"{os.system.__module__}.system" in refused(lambda: unpickle.load(path))


def test_a_refused_module_is_not_even_imported(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    assert "antigravity" not in sys.modules
    path.write_bytes(global_of("antigravity", "webbrowser") + b".")
    refused(lambda: unpickle.load(path))
    assert "antigravity" not in sys.modules


def test_a_command_that_meets_a_hostile_file_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "one.pkl", Calls(builtins.eval, "1"))

    def main(_: object) -> None:
        feature_pickles.load(path, "iemocap")

    assert run(main, []) == 2
    assert capsys.readouterr().err.count("\n") == 1


def reconstructed(shape: bytes, kind: bytes, state: bytes, raw: bytes) -> bytes:
    """An array's pickle (protocol 2) of chosen parts."""
    begin = global_of("numpy.core.multiarray", "_reconstruct") + global_of("numpy", "ndarray")
    return (
        b"\x80\x02" + begin + b"K\x00\x85U\x01b\x87R(K\x01" + shape + global_of("numpy", "dtype")
        + b"(U" + bytes([len(kind)]) + kind + b"K\x00K\x01tR" + state + b"\x89" + raw + b"tb."
    )  # fmt: skip


PLAIN = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def text8(raw: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(raw)) + raw


def test_the_made_arrays_are_right_where_nothing_is_forged(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    raw = text8(np.arange(2, dtype="<f4").tobytes())
    path.write_bytes(reconstructed(b"K\x02\x85", b"f4", PLAIN, raw))
    np.testing.assert_array_equal(np.asarray(unpickle.load(path)), [0, 1])


@pytest.mark.parametrize(
    ("shape", "kind", "state", "raw"),
    [
        (b"K\x03\x85", b"f4", PLAIN, text8(bytes(8))),
        (b"J\xff\xff\xff\xff\x85", b"f4", PLAIN, text8(b"")),
        (b"\x8a\x06\x00\x00\x00\x00\x00\x10\x85", b"f4", PLAIN, text8(b"")),
        (b"U\x01a\x85", b"f4", PLAIN, text8(bytes(4))),
        # Bytes as references would be pointers of the file's choice.
        (b"K\x01\x85", b"O8", PLAIN, text8(b"A" * 8)),
        (b"K\x02\x85", b"O8", PLAIN, b"]Va\na"),
        (b"K\x01\x85", b"f4", PLAIN, b"]K\x01a"),
        (b"K\x01\x85", b"V8", PLAIN, text8(bytes(8))),
        (b"K\x01\x85", b"M8", PLAIN, text8(bytes(8))),
        (b"K\x01\x85", b"U0", PLAIN, text8(b"")),
        (b"K\x01\x85", b"f4,O8", PLAIN, text8(bytes(12))),
        (b"K\x01\x85", b"f4", b"(K\x03U\x01<NU\x01aNJ\xff\xff\xff\xffK\x00tb", text8(bytes(4))),
        (b"K\x01\x85", b"f4", b"(K\x03U\x01<tb", text8(bytes(4))),
        (b"K\x01\x85", b"f4", b"(K\x03U\x01ONNNtb", text8(bytes(4))),
    ],
)
def test_a_forged_array_is_refused(
    tmp_path: Path, shape: bytes, kind: bytes, state: bytes, raw: bytes
) -> None:
    path = tmp_path / "one.pkl"
    path.write_bytes(reconstructed(shape, kind, state, raw))
    assert "one.pkl" in refused(lambda: unpickle.load(path))


def test_an_array_begins_empty_and_is_filled_once(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    array = reconstructed(b"K\x01\x85", b"f4", PLAIN, text8(bytes(4)))
    state = array[array.index(b"(K\x01") : -1]
    path.write_bytes(array[:-1] + state + b".")
    refused(lambda: unpickle.load(path))
    path.write_bytes(array.replace(b"K\x00\x85U", b"J\x00\x00\x00\x40\x85U"))
    assert "unknown way" in refused(lambda: unpickle.load(path))


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    # The same 100 kB copied ten thousand times: a gigabyte of copies out of a small file.
    many = pickle.dumps(list(range(100)) * 1000, 2)[:-1] + b"q\xc8"
    copies = (b"h\xc8\x85" + b"R0").replace(
        b"h\xc8\x85", global_of("builtins", "tuple") + b"h\xc8\x85"
    )
    path.write_bytes(many + copies * 10_000 + b".")
    assert "more than its file holds" in refused(lambda: unpickle.load(path))
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b"x.")
    refused(lambda: unpickle.load(path))


BOMBS = {
    "a place of the memo": b"\x80\x02Nr" + struct.pack("<I", 1 << 26) + b".",
    "a place of the memo as text": b"Np67108864\n.",
    "sets": b"\x80\x04" + b"\x8f" * 200_000 + b".",
    "lists": b"\x80\x02" + b"]" * 200_000 + b".",
    "dicts": b"\x80\x02" + b"}" * 200_000 + b".",
    "tuples in tuples": b"\x80\x02N" + b"\x85" * 200_000 + b".",
    "empty arrays": b"\x80\x02"
    + global_of("numpy.core.multiarray", "_reconstruct")
    + b"q\x00"
    + global_of("numpy", "ndarray")
    + b"K\x00\x85U\x01b\x87q\x01"
    + b"h\x00h\x01R" * 50_000
    + b".",
    "a number as text": b"L" + b"9" * 200_000 + b"L\n.",
    "a length beyond the file": b"\x80\x02X" + struct.pack("<I", (1 << 32) - 1) + b"x.",
    "an instance": b"(ios\nsystem\n.",
    "a name by number": b"\x80\x02\x84\x01\x00\x00\x00.",
}


@pytest.mark.fault
@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_asks_for_memory(tmp_path: Path, name: str) -> None:
    """A small pickle asks for a gigabyte: it is refused in one line before it is read."""
    path = tmp_path / "one.pkl"
    path.write_bytes(BOMBS[name])
    tracemalloc.start()
    try:
        refused(lambda: unpickle.load(path))
        assert tracemalloc.get_traced_memory()[1] < 8 * len(BOMBS[name]) + (4 << 20)
    finally:
        tracemalloc.stop()


def test_a_file_beyond_all_known_sizes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "one.pkl"
    with path.open("wb") as file:
        file.truncate(unpickle.MOST_BYTES + 1)
    assert str(unpickle.MOST_BYTES + 1) in refused(lambda: unpickle.load(path))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_broken_file_is_one_line_or_plain_contents(tmp_path: Path, data: st.DataObject) -> None:
    whole = pickle.dumps({"a": [np.arange(3.0)], "b": {1, 2}, "c": np.float32(1)}, 2)
    broken = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
        broken[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "one.pkl"
    path.write_bytes(bytes(broken[: data.draw(st.integers(0, len(whole)))]))

    def load(_: object) -> None:
        unpickle.load(path)

    assert run(load, []) in (0, 2)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "nothing.pkl" in refused(lambda: unpickle.load(tmp_path / "nothing.pkl"))
    refused(lambda: unpickle.load(tmp_path))


def test_the_opcodes_of_the_tests_are_pickles() -> None:
    made = reconstructed(b"K\x01\x85", b"f4", PLAIN, text8(bytes(4)))
    pickletools.dis(made, io.StringIO())


# Dialogues of IEMOCAP and MELD.

TEST = ("Ses05F_impro01", "Ses05M_script01")
TRAIN = ("Ses01F_impro01", "Ses02M_impro01", "Ses04M_script01_1")
#: Utterances of each dialogue, by its place.
LENGTHS = (3, 1, 4, 2)


def material(names: list[Any], dims: dict[str, int], speakers: Callable[[int], object]) -> Parts:
    """What a file has for every dialogue, with vectors that say where they are from."""
    parts: Parts = {"ids": {}, "speakers": {}, "labels": {}, "sentences": {}}
    for m, dim in dims.items():
        parts[m] = {
            name: [
                np.full(dim, 100 * d + n + len(m) / 16 + 1)
                for n in range(LENGTHS[d % len(LENGTHS)])
            ]
            for d, name in enumerate(names)
        }
    for d, name in enumerate(names):
        count = LENGTHS[d % len(LENGTHS)]
        parts["ids"][name] = [f"{name}_{n}" for n in range(count)]
        parts["speakers"][name] = [speakers(n) for n in range(count)]
        parts["labels"][name] = [(d + n) % 6 for n in range(count)]
        parts["sentences"][name] = [f"Words number {n} of {name}." for n in range(count)]
    return parts


TEXTS = {"text": 8, "text 2": 8, "text 3": 8, "text 4": 8}
WITH_FACES = {"audio": 5, "visual": 6}


def iemocap() -> Parts:
    names = [*TRAIN, *sorted(feature_pickles.COSMIC_VALIDATION), *TEST]
    made = material(names, {**TEXTS, **WITH_FACES}, lambda n: "FM"[n % 2])
    train = {*TRAIN, *feature_pickles.COSMIC_VALIDATION}
    return made | {"train": train, "test": list(TEST), "validation": None}


def save(path: Path, parts: Parts, *order: str, protocol: int = 2) -> Path:
    return written(path, tuple(parts.get(name) for name in order), protocol)


PLAIN_ORDER = ("ids", "speakers", "labels", "text", "audio", "visual", "sentences", "train", "test")
SDT_ORDER = (
    *("ids", "speakers", "labels", "text", "text 2", "text 3", "text 4"),
    *("audio", "visual", "sentences", "train", "test"),
)
COSMIC_ORDER = ("speakers", "labels", *TEXTS, "sentences", "train", "test", "validation")


def check(corpus: FeaturedCorpus, parts: Parts, splits: dict[str, set[Any]]) -> None:
    """The corpus says what the parts say."""
    place = {name: d for d, name in enumerate(parts["labels"])}
    assert {s: {one.name for one in d} for s, d in corpus.splits.items()} == {
        split: {str(name) for name in names} for split, names in splits.items()
    }
    for split, names in splits.items():
        ordered = sorted(names, key=place.__getitem__)
        assert [one.name for one in corpus.splits[split]] == list(map(str, ordered))
        for name, one in zip(ordered, corpus.splits[split], strict=True):
            assert one.labels.tolist() == parts["labels"][name]
            assert one.present.all()
            assert one.present.shape == (len(one.labels), len(corpus.modalities))
            for m in corpus.modalities:
                layers = [parts[m][name]]
                if m == "text" and "text 2" in parts:
                    layers = [parts[layer][name] for layer in TEXTS]
                assert one.features[m].dtype == torch.float32
                np.testing.assert_allclose(
                    one.features[m].numpy(), np.mean([np.stack(x) for x in layers], 0), rtol=1e-6
                )
    batch(corpus.splits["train"])


IEMOCAP_SPLITS = {
    "train": set(TRAIN), "validation": set(feature_pickles.COSMIC_VALIDATION), "test": set(TEST),
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_iemocap_as_most_models_read_it(tmp_path: Path, protocol: int) -> None:
    parts = {key: value for key, value in iemocap().items() if key not in list(TEXTS)[1:]}
    path = save(tmp_path / "IEMOCAP_features.pkl", parts, *PLAIN_ORDER, protocol=protocol)
    corpus = feature_pickles.load(path, "iemocap")
    check(corpus, parts, IEMOCAP_SPLITS)
    assert corpus.labels == ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    assert corpus.modalities == ("text", "audio", "visual")
    assert corpus.dims == {"text": 8, "audio": 5, "visual": 6}
    longest = max(corpus.splits["validation"], key=lambda one: len(one.labels))
    assert longest.speakers.tolist() == [0, 1, 0, 1]
    assert len(set(corpus.encoders.values())) == 3


def test_iemocap_with_four_layers_of_text(tmp_path: Path) -> None:
    parts = iemocap()
    path = save(tmp_path / "one.pkl", parts, *SDT_ORDER)
    check(feature_pickles.load(path, "iemocap"), parts, IEMOCAP_SPLITS)


def test_iemocap_with_text_only_and_its_own_validation(tmp_path: Path) -> None:
    parts = iemocap()
    validation = [next(iter(sorted(feature_pickles.COSMIC_VALIDATION)))]
    train = sorted(parts["train"] - set(validation))
    parts |= {"validation": validation, "train": train}
    corpus = feature_pickles.load(save(tmp_path / "one.pkl", parts, *COSMIC_ORDER), "iemocap")
    check(corpus, parts, {"train": set(train), "validation": set(validation), "test": set(TEST)})
    assert corpus.modalities == ("text",)
    path = tmp_path / "one.pkl"
    assert "of its own" in refused(lambda: feature_pickles.load(path, "iemocap", [TRAIN[0]]))


def test_identities_of_features_change_with_the_file(tmp_path: Path) -> None:
    parts = iemocap()
    first = feature_pickles.load(
        save(tmp_path / "one.pkl", parts, *PLAIN_ORDER), "iemocap"
    ).encoders
    again = feature_pickles.load(
        save(tmp_path / "one.pkl", parts, *PLAIN_ORDER), "iemocap"
    ).encoders
    assert first == again
    parts["text"][TRAIN[0]][0][0] += 1
    other = feature_pickles.load(
        save(tmp_path / "one.pkl", parts, *PLAIN_ORDER), "iemocap"
    ).encoders
    assert not set(first.values()) & set(other.values())


def meld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """MELD's layout, whose dialogues 2 and 3 are the validation split of a table beside it."""
    one_hot = np.eye(9, dtype=int)
    made = material(list(range(6)), {**TEXTS, **WITH_FACES}, lambda n: list(one_hot[(n + 3) % 9]))
    made |= {"train": [0, 1, 2, 3], "test": [4, 5], "validation": None}
    header = "split,dialogue,turn,speaker,emotion,text," + ",".join(_LAYOUTS["meld"].prosody)
    lines = [header]
    for split, dialogues in (("train", (0, 1)), ("dev", (2, 3)), ("test", (4, 5))):
        for name in dialogues:
            lines += [
                f"{split},{split}_{name},{turn},Ann,joy,{text.upper()}" + "," * 8
                for turn, text in enumerate(made["sentences"][name])
            ]
    (tmp_path / "erc").mkdir()
    (tmp_path / "erc" / "meld.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("GSCON_DATA", str(tmp_path))
    return made


MELD_SPLITS: dict[str, set[Any]] = {"train": {0, 1}, "validation": {2, 3}, "test": {4, 5}}


@pytest.mark.parametrize(
    ("order", "modalities"),
    [
        ((*PLAIN_ORDER, "sentiments"), ("text", "audio", "visual")),
        (
            ("ids", "speakers", "labels", "text", "audio", "sentences", "train", "test", "-"),
            ("text", "audio"),
        ),
        ((*SDT_ORDER, "sentiments"), ("text", "audio", "visual")),
        ((*SDT_ORDER[:3], "sentiments", *SDT_ORDER[3:], "-"), ("text", "audio", "visual")),
    ],
)
def test_meld_in_its_layouts_with_the_tables_validation_split(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[str, ...],
    modalities: tuple[str, ...],
) -> None:
    parts = meld(tmp_path, monkeypatch)
    if "text 2" not in order:
        parts = {key: value for key, value in parts.items() if key not in list(TEXTS)[1:]}
    corpus = feature_pickles.load(save(tmp_path / "one.pkl", parts, *order), "meld")
    check(corpus, parts, MELD_SPLITS)
    assert corpus.labels == EMOTIONS
    assert corpus.modalities == modalities
    assert corpus.splits["validation"][0].speakers.tolist() == [0, 1, 2, 3]


def test_meld_with_text_only_and_its_own_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = meld(tmp_path, monkeypatch) | {"train": [0, 1, 3], "validation": [2]}
    order = ("speakers", "labels", "sentiments", *COSMIC_ORDER[2:])
    corpus = feature_pickles.load(save(tmp_path / "one.pkl", parts, *order), "meld")
    check(corpus, parts, {"train": {0, 1, 3}, "validation": {2}, "test": {4, 5}})


def test_the_validation_split_of_meld_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = meld(tmp_path, monkeypatch)
    path = save(tmp_path / "one.pkl", parts, *PLAIN_ORDER, "sentiments")
    corpus = feature_pickles.load(path, "meld", [1])
    assert [one.name for one in corpus.splits["validation"]] == ["1"]
    assert [one.name for one in corpus.splits["train"]] == ["0", "2", "3"]
    # Never a dialogue of the test split.
    assert "training" in refused(lambda: feature_pickles.load(path, "meld", [4]))
    assert "empty" in refused(lambda: feature_pickles.load(path, "meld", []))
    parts["sentences"][2][0] = "Other words."
    path = save(tmp_path / "one.pkl", parts, *PLAIN_ORDER, "sentiments")
    message = refused(lambda: feature_pickles.load(path, "meld"))
    assert "1 training dialogues" in message
    assert "2 validation" in message


def test_zero_vectors_are_absent_and_silence_is_zero(tmp_path: Path) -> None:
    parts = iemocap()
    parts["visual"][TRAIN[0]][1] = np.zeros(6)
    parts["audio"][TRAIN[0]][0] = np.array([1, -np.inf, 2, 3, -np.inf])
    parts["audio"][TRAIN[0]][2] = np.full(5, -np.inf)
    corpus = feature_pickles.load(save(tmp_path / "one.pkl", parts, *PLAIN_ORDER), "iemocap")
    one = corpus.splits["train"][0]
    assert one.name == TRAIN[0]
    assert one.present.tolist() == [[True] * 3, [True, True, False], [True, False, True]]
    assert one.features["audio"][0].tolist() == [1, 0, 2, 3, 0]


def test_plain_lists_and_whole_arrays_are_read_alike(tmp_path: Path) -> None:
    parts = iemocap()
    first = feature_pickles.load(save(tmp_path / "one.pkl", parts, *PLAIN_ORDER), "iemocap")
    for m in ("text", "audio"):
        parts[m] = {name: [row.tolist() for row in rows] for name, rows in parts[m].items()}
    parts["visual"] = {name: np.stack(rows) for name, rows in parts["visual"].items()}
    parts["labels"] = {name: np.array(labels) for name, labels in parts["labels"].items()}
    parts["test"] = np.array(parts["test"])
    second = feature_pickles.load(save(tmp_path / "one.pkl", parts, *PLAIN_ORDER), "iemocap")
    for split, dialogues in first.splits.items():
        for one, other in zip(dialogues, second.splits[split], strict=True):
            assert one.name == other.name
            assert torch.equal(one.labels, other.labels)
            for m in first.modalities:
                assert torch.equal(one.features[m], other.features[m])


def drop(key: str) -> Callable[[Parts], object]:
    return lambda parts: parts[key].pop(TRAIN[0])


def put(key: str, place: int, value: object) -> Callable[[Parts], object]:
    return lambda parts: parts[key][TRAIN[0]].__setitem__(place, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("audio", 1, np.array([1, np.nan, 1, 1, 1])), (TRAIN[0], "utterance 2", "audio")),
        (put("audio", 1, np.array([1, np.inf, 1, 1, 1])), (TRAIN[0], "utterance 2", "finite")),
        (put("visual", 2, np.full(6, -np.inf)), (TRAIN[0], "utterance 3", "visual")),
        (put("text", 0, np.full(8, 1e300)), (TRAIN[0], "utterance 1", "finite")),
        (put("text", 0, [10**400] * 8), (TRAIN[0], "utterance 1", "numbers")),
        (put("text", 2, np.ones(7)), (TRAIN[0], "utterance 3", "7 numbers", "8")),
        (put("text", 2, np.ones((1, 8))), (TRAIN[0], "utterance 3", "row of numbers")),
        (put("text", 2, ["1.0"] * 8), (TRAIN[0], "utterance 3", "row of numbers")),
        (put("text", 2, np.array(["a"] * 8)), (TRAIN[0], "utterance 3", "row of numbers")),
        (put("text", 2, None), (TRAIN[0], "utterance 3", "row of numbers")),
        (put("labels", 1, 6), (TRAIN[0], "utterance 2", "'6'")),
        (put("labels", 1, -2), (TRAIN[0], "utterance 2", "'-2'")),
        (put("labels", 1, "hap"), (TRAIN[0], "utterance 2", "'hap'")),
        (put("speakers", 1, None), (TRAIN[0], "utterance 2", "speaker")),
        (drop("visual"), (TRAIN[0], "visual")),
        (drop("speakers"), (TRAIN[0], "speakers")),
        (drop("labels"), (TRAIN[0], "train", "labels")),
        (lambda p: p["audio"][TRAIN[0]].pop(), (TRAIN[0], "3 labels", "2 audio")),
        (lambda p: p["sentences"][TRAIN[0]].pop(), (TRAIN[0], "3 labels", "2 sentences")),
        (lambda p: p["ids"][TRAIN[0]].append("x"), (TRAIN[0], "3 labels", "4 ids")),
        (lambda p: p["labels"].update({TRAIN[0]: []}), (TRAIN[0], "labels")),
        (lambda p: p["labels"].update({TRAIN[0]: [-1] * 3}), (TRAIN[0], "no labels")),
        (lambda p: p["labels"].update({TRAIN[0]: 3}), (TRAIN[0], "labels")),
        (lambda p: p.update(audio=[1, 2]), ("audio", "list")),
        (lambda p: p.update(test=[]), ("'test'", "empty")),
        (lambda p: p.update(test=7), ("test", "int")),
        (lambda p: p.update(test=[[1]]), ("test", "list")),
        (lambda p: p["test"].append("Ses06"), ("'Ses06'", "test")),
        (lambda p: p["test"].append(TRAIN[1]), (TRAIN[1], "train", "test")),
        (lambda p: p["test"].append(TEST[0]), (TEST[0], "test")),
        (lambda p: p["train"].remove("Ses04F_impro07"), ("Ses04F_impro07", "validation")),
        (
            lambda p: (p["train"].remove("Ses04F_impro07"), p["test"].append("Ses04F_impro07")),
            ("Ses04F_impro07", "validation"),
        ),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, change: Callable[[Parts], object], said: tuple[str, ...]
) -> None:
    parts = iemocap()
    change(parts)
    path = save(tmp_path / "one.pkl", parts, *PLAIN_ORDER)
    message = refused(lambda: feature_pickles.load(path, "iemocap"))
    for part in ("one.pkl", *said):
        assert part in message


def test_another_layout_or_corpus_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "one.pkl", iemocap(), *PLAIN_ORDER, "more", "and", "more", "more")
    assert "9, 10, 12" in refused(lambda: feature_pickles.load(path, "iemocap"))
    assert "iemocap, meld" in refused(lambda: feature_pickles.load(path, "mosi"))
    path = written(path, {"train": 1})
    assert "dict of 1" in refused(lambda: feature_pickles.load(path, "meld"))
    path = save(path, iemocap(), *PLAIN_ORDER)
    refused(lambda: feature_pickles.load(path, "meld"))


@pytest.mark.skipif(not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA")
def test_the_twelve_dialogues_are_the_tables_validation_split() -> None:
    table = load_table("iemocap")
    assert {one.name for one in table.splits["validation"]} == feature_pickles.COSMIC_VALIDATION
    assert not {one.name for one in table.splits["test"]} & feature_pickles.COSMIC_VALIDATION
