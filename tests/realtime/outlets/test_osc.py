"""OSC: a program that listens gets what was published, and no words unless they were asked for."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from made_events import any_event, conversation
from outlet_streams import running
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_server import BlockingOSCUDPServer
from sessions import wait_for

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent
from gscon_live.realtime.outlets.osc import OscOutlet, messages_of

LISTENER = Path(__file__).parents[3] / "realtime" / "examples" / "osc_listener.py"
Heard = list[tuple[str, tuple[object, ...]]]


@contextmanager
def listening() -> Iterator[tuple[int, Heard]]:
    """A real OSC server: its port, and what it has heard so far."""
    heard: Heard = []
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *arguments: heard.append((address, arguments)))
    with BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], heard
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("words", [False, True])
def test_a_program_hears_who_shows_what(words: bool, tmp_path: Path) -> None:
    events = list(conversation())
    spoken = [event for event in events if isinstance(event, UtteranceEvent)]
    with listening() as (port, heard):
        options = ["--words"] if words else []
        with running(tmp_path, events[0].session, "osc", "--to", f"127.0.0.1:{port}", *options) as (
            station,
            outlet,
        ):
            station.send(events)
            assert outlet.wait(timeout=40) == 0
        wait_for(lambda: ("/gscon/session", ("ended",)) in heard)
    assert heard[0] == ("/gscon/session", ("started",))
    answers = [arguments for address, arguments in heard if address == "/gscon/utterance"]
    for arguments, event in zip(answers, spoken, strict=True):
        speaker, label, confidence, abstained, start, end, text = arguments
        assert (speaker, label) == (event.utterance.speaker, event.emotion.label)
        assert confidence == pytest.approx(event.emotion.confidence)
        assert abstained == event.emotion.abstained
        assert (start, end) == pytest.approx((event.utterance.start, event.utterance.end))
        assert text == (event.utterance.text if words else "")
    shares = [arguments for address, arguments in heard
              if address == "/gscon/utterance/probabilities"]  # fmt: skip
    for row, event in zip(shares, spoken, strict=True):
        assert row == pytest.approx([event.emotion.probabilities[name] for name in EMOTIONS])
    (gap,) = [event for event in events if isinstance(event, schema.Gap)]
    (lost,) = [arguments for address, arguments in heard if address == "/gscon/gap"]
    assert lost == (gap.what, pytest.approx(gap.time), pytest.approx(gap.seconds))


def test_the_listener_of_the_documentation_prints_what_it_gets() -> None:
    listener = subprocess.Popen(
        [sys.executable, str(LISTENER), "0"], stdout=subprocess.PIPE, text=True
    )
    assert listener.stdout is not None
    try:
        port = listener.stdout.readline().split()[-1]
        outlet = OscOutlet(f"127.0.0.1:{port}")
        for event in conversation(1):
            outlet.write(event)
        lines = [listener.stdout.readline() for _ in range(4)]
        outlet.close()
    finally:
        listener.terminate()
        listener.communicate(timeout=30)
    assert lines[:2] == ["/gscon/session started\n", "/gscon/speech 1.0\n"]
    assert lines[2].startswith("/gscon/provisional Ben neutral 0.8")
    assert lines[3].startswith("/gscon/provisional/probabilities 0.8")


@given(any_event)
def test_any_event_fits_in_messages(event: AnyEvent) -> None:
    for address, arguments in messages_of(event, words=True):
        builder = OscMessageBuilder(address)
        for argument in arguments:
            builder.add_arg(argument)
        sent = builder.build()
        assert len(sent.dgram) < 9216  # the smallest largest datagram: macOS
        assert len(OscMessage(sent.dgram).params) == len(arguments)


def test_words_that_are_very_long_are_cut() -> None:
    (answer,) = [event for event in conversation(1) if isinstance(event, UtteranceEvent)]
    utterance = msgspec.structs.replace(answer.utterance, text="ü" * 100_000, speaker="é" * 10_000)
    long = msgspec.structs.replace(answer, utterance=utterance)
    with listening() as (port, heard):
        outlet = OscOutlet(f"127.0.0.1:{port}", words=True)
        outlet.write(long)
        wait_for(lambda: len(heard) == 2)
        outlet.close()
    assert heard[0][1][-1] == "ü" * 1000


def test_nobody_listening_is_no_error() -> None:
    with listening() as (port, _):
        pass
    outlet = OscOutlet(f"127.0.0.1:{port}")
    for event in conversation():
        outlet.write(event)
    outlet.close()


def test_another_machine_needs_a_word_of_consent() -> None:
    with pytest.raises(InputError, match=r"not encrypted.*--unencrypted"):
        OscOutlet("192.0.2.1:9000")
    OscOutlet("192.0.2.1:9000", unencrypted=True).close()


@pytest.mark.parametrize("target", ["9000", "localhost", "localhost:0", "a:b", "a:70000", ""])
def test_a_wrong_address_is_refused_in_one_line(target: str) -> None:
    with pytest.raises(InputError, match=r"expected HOST:PORT"):
        OscOutlet(target)


def test_a_session_has_a_begin_and_an_end() -> None:
    started, *_, ended = conversation(1)
    assert isinstance(started, schema.SessionStarted)
    assert [*messages_of(started), *messages_of(ended)] == [
        ("/gscon/session", ["started"]), ("/gscon/session", ["ended"]),
    ]  # fmt: skip
