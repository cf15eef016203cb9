"""Progress tells what happens, seldom enough, from any number of threads."""

import io
import json
import threading

import pytest
from rich.console import Console

from layerkit import digest as digests
from layerkit.cli import bars, progress
from layerkit.events import LayerDone, LayerProgress, Notice, Phase, Resolved

LAYER, OTHER = digests.of_bytes(b"1"), digests.of_bytes(b"2")
RESOLVED = Resolved("app:1", digests.of_bytes(b"m"), ((LAYER, 1000), (OTHER, 500)))
NOTICE = Notice("warning", "odd\x1b[2Jlayer")


def download(done, total=1000, layer=LAYER):
    """A report of the download."""
    return LayerProgress(layer, Phase.DOWNLOAD, done, total)


class Clock:
    """A clock that goes when told."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that stands."""
    return Clock()


def test_none_shows_notices_only(capfd):
    """Without progress, warnings are still told, with controls escaped."""
    shown = progress.start("none")
    for event in (RESOLVED, download(1), LayerDone(LAYER, reused=False), NOTICE):
        shown(event)

    assert capfd.readouterr() == ("", "warning: odd\\x1b[2Jlayer\n")


def test_plain_has_a_line_for_each_layer_and_phase(capfd, clock):
    """The first report of a layer's phase is a line, the next ones are not."""
    shown = progress.Plain(clock)
    for event in (
        download(1),
        download(2),
        download(1, 500, OTHER),
        download(1000),
        LayerProgress(LAYER, Phase.INDEX, 5, 1000),
        LayerProgress(LAYER, Phase.INDEX, 1000, 1000),
        NOTICE,
    ):
        shown(event)

    assert capfd.readouterr().err.splitlines() == [
        f"{LAYER.short}: Downloading 1kB",
        f"{OTHER.short}: Downloading 500B",
        f"{LAYER.short}: Indexing 1kB",
        r"warning: odd\x1b[2Jlayer",
    ]


def test_plain_speaks_up_when_it_takes_long(capfd, clock):
    """After a pause there is one more line, with how far it is."""
    shown = progress.Plain(clock)
    for clock.now, done in ((0, 0), (9, 100), (10, 450), (11, 460), (21, 999)):
        shown(download(done))

    assert capfd.readouterr().err.splitlines() == [
        f"{LAYER.short}: Downloading 1kB",
        f"{LAYER.short}: Downloading 45% of 1kB",
        f"{LAYER.short}: Downloading 99% of 1kB",
    ]


def test_plain_knows_nothing_of_an_unknown_total(capfd, clock):
    """Without a total there is no share, only what came."""
    shown = progress.Plain(clock)
    for clock.now, done in ((0, 0), (10, 4500)):
        shown(download(done, 0))

    assert capfd.readouterr().err.splitlines() == [
        f"{LAYER.short}: Downloading",
        f"{LAYER.short}: Downloading 4.5kB",
    ]


def test_json_has_every_event_as_an_object(capfd, clock):
    """Each kind of event is one line of JSON with all its fields."""
    shown = progress.JsonLines(clock)
    for event in (RESOLVED, download(0), LayerDone(LAYER, reused=True), NOTICE):
        shown(event)

    assert list(map(json.loads, capfd.readouterr().err.splitlines())) == [
        {
            "event": "resolved",
            "name": "app:1",
            "digest": str(RESOLVED.digest),
            "layers": [{"digest": str(LAYER), "size": 1000}, {"digest": str(OTHER), "size": 500}],
        },
        {
            "event": "progress",
            "layer": str(LAYER),
            "phase": "download",
            "done": 0,
            "total": 1000,
        },
        {"event": "done", "layer": str(LAYER), "reused": True},
        {"event": "notice", "severity": "warning", "text": "odd\x1b[2Jlayer"},
    ]


def test_json_reports_begin_and_end_of_a_phase(capfd, clock):
    """Of many reports in a moment only the first and the last get through."""
    shown = progress.JsonLines(clock)
    for done in (0, 1, 500, 999, 1000, 1000):
        shown(download(done))

    lines = map(json.loads, capfd.readouterr().err.splitlines())
    assert [line["done"] for line in lines] == [0, 1000]


@pytest.mark.parametrize("mode", ["plain", "json", "none"])
def test_threads_do_not_mix_their_lines(capfd, mode):
    """Reports from many threads at once come out as whole lines, none lost."""
    shown = progress.start(mode)
    layers = [digests.of_bytes(bytes([number])) for number in range(8)]

    def report(layer):
        for done in range(50):
            shown(download(done, 50, layer))
        shown(Notice("note", layer.short))

    threads = [threading.Thread(target=report, args=(layer,)) for layer in layers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = capfd.readouterr().err.splitlines()
    notices = [line for line in lines if "note" in line]
    assert len(notices) == len(layers)
    if mode == "json":
        assert all(map(json.loads, lines))
    else:
        assert all(line.startswith("note: ") or ": Downloading" in line for line in lines)


@pytest.mark.parametrize("mode", ["auto", "plain", "json", "none"])
def test_a_line_goes_to_where_it_belongs(capfd, mode):
    """Results are on stdout at once, everything else on stderr."""
    with progress.start(mode) as shown:
        shown.line("result")
        shown.line("remark", aside=True)

        assert capfd.readouterr() == ("result\n", "remark\n")


def test_auto_is_plain_without_a_terminal(capfd):
    """Where stderr is no terminal, nothing is drawn."""
    assert isinstance(progress.start("auto"), progress.Plain)


def test_auto_draws_on_a_terminal(monkeypatch):
    """Where stderr is a terminal, bars are drawn."""
    monkeypatch.setattr("layerkit.cli.environment.animates", lambda _stream: True)

    assert isinstance(progress.start("auto"), bars.Bars)


@pytest.fixture
def screen():
    """A terminal that keeps what is written to it."""
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def drawn(shown):
    """The bars as they are now: description, received and total."""
    return [(task.description, task.completed, task.total) for task in shown._display.tasks]


def test_bars_show_layers_at_work_and_their_sum(screen):
    """There is a bar for each layer at work, and one for all that has to come."""
    with bars.Bars(screen) as shown:
        shown(RESOLVED)
        assert drawn(shown) == [("total", 0, 1500)]
        shown(download(400))
        shown(download(100, 500, OTHER))
        assert drawn(shown) == [
            ("total", 500, 1500),
            (f"{LAYER.short} download", 400, 1000),
            (f"{OTHER.short} download", 100, 500),
        ]
        shown(LayerProgress(LAYER, Phase.INDEX, 10, 1000))
        shown(LayerDone(OTHER, reused=False))
        assert drawn(shown) == [("total", 900, 1500), (f"{LAYER.short} index", 10, 1000)]


def test_bars_do_not_count_what_is_here(screen):
    """A layer that is reused is no part of the sum."""
    with bars.Bars(screen) as shown:
        shown(RESOLVED)
        shown(LayerDone(LAYER, reused=True))
        assert drawn(shown) == [("total", 0, 500)]


def test_bars_do_not_count_what_is_mounted(screen):
    """A pushed layer that its registry takes from elsewhere counts for nothing in the sum."""
    with bars.Bars(screen) as shown:
        shown(RESOLVED)
        shown(LayerDone(LAYER, reused=False, source="base"))
        shown(LayerProgress(OTHER, Phase.UPLOAD, 250, 500))
        assert drawn(shown) == [("total", 250, 500), (f"{OTHER.short} upload", 250, 500)]


def test_one_layer_needs_no_sum(screen):
    """With a single layer its own bar says all; a next image begins anew."""
    with bars.Bars(screen) as shown:
        shown(RESOLVED)
        shown(Resolved("b", RESOLVED.digest, ((LAYER, 10),)))
        shown(download(5, 10))
        assert drawn(shown) == [(f"{LAYER.short} download", 5, 10)]


def test_bars_leave_only_lines_behind(screen, monkeypatch, capfd):
    """Lines and notices are printed above the bars, with controls escaped."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with bars.Bars(screen) as shown:
        shown(NOTICE)
        shown.line("2d473b07cdd5: Pull complete [x]")
        shown.line("aside", aside=True)

    text = screen.file.getvalue()
    assert r"warning: odd\x1b[2Jlayer" in text
    assert "2d473b07cdd5: Pull complete [x]" in text
    assert "aside" in text
    assert capfd.readouterr().out == ""


def test_results_go_to_stdout_when_that_is_no_terminal(screen, capfd):
    """A pipe gets the results although bars are drawn on stderr."""
    with bars.Bars(screen) as shown:
        shown.line("result")

    assert capfd.readouterr().out == "result\n"
    assert "result" not in screen.file.getvalue()
