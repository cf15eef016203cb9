"""Lines of a Dockerfile change a config as docker's own builder does."""

import pytest

from layerkit.errors import UsageError
from layerkit.ops.changes import changed


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ([], {}),
        (['CMD ["a", "b c"]'], {"Cmd": ["a", "b c"]}),
        (["CMD echo $HOME  'x'"], {"Cmd": ["/bin/sh", "-c", "echo $HOME  'x'"]}),
        (["CMD [not json]"], {"Cmd": ["/bin/sh", "-c", "[not json]"]}),
        (["CMD []"], {"Cmd": []}),
        (['entrypoint\t["x"]  '], {"Entrypoint": ["x"]}),
        (["CMD a", 'ENTRYPOINT ["x"]'], {"Cmd": ["/bin/sh", "-c", "a"], "Entrypoint": ["x"]}),
        (["ENV A=1"], {"Env": ["A=1"]}),
        (["ENV A=1 B=2", "ENV A=3"], {"Env": ["A=3", "B=2"]}),
        (["ENV A one  two"], {"Env": ["A=one  two"]}),
        (
            ["""ENV A="x y" B='$C' C=x\\ y D="\\"\\$" """],
            {"Env": ["A=x y", "B=$C", "C=x y", 'D="$']},
        ),
        (["ENV A=1", "ENV A=2 B=$A"], {"Env": ["A=2", "B=1"]}),
        (["ENV P=/a", 'ENV P=/b:$P Q=${P} R="[$P]"'], {"Env": ["P=/b:/a", "Q=/a", "R=[/a]"]}),
        (["ENV A=${X:-def} B=${X:+no} C=$X D=a$"], {"Env": ["A=def", "B=", "C=", "D=a$"]}),
        (["ENV A=1", "ENV B=${A:+yes} C=${A:-no}"], {"Env": ["A=1", "B=yes", "C=1"]}),
        (["ENV A=b=c="], {"Env": ["A=b=c="]}),
        (["ENV A="], {"Env": ["A="]}),
        (["LABEL a=1 b.c='x y'", "LABEL a=2"], {"Labels": {"a": "2", "b.c": "x y"}}),
        (["EXPOSE 80 443/UDP"], {"ExposedPorts": {"80/tcp": {}, "443/udp": {}}}),
        (["EXPOSE 7000-7001/sctp"], {"ExposedPorts": {"7000/sctp": {}, "7001/sctp": {}}}),
        (["ENV P=8", "EXPOSE ${P}0"], {"Env": ["P=8"], "ExposedPorts": {"80/tcp": {}}}),
        (["USER app:grp"], {"User": "app:grp"}),
        (["STOPSIGNAL SIGINT"], {"StopSignal": "SIGINT"}),
        (["WORKDIR /a b"], {"WorkingDir": "/a b"}),
        (["WORKDIR a", "WORKDIR b/../c/"], {"WorkingDir": "/a/c"}),
        (["WORKDIR /a", "WORKDIR //x"], {"WorkingDir": "/x"}),
        (["VOLUME /a /b"], {"Volumes": {"/a": {}, "/b": {}}}),
        (['VOLUME ["/a b"]'], {"Volumes": {"/a b": {}}}),
    ],
    ids=str,
)
def test_a_line_does_what_docker_does(lines, wanted):
    """Each instruction sets the field of the config that docker sets, to the same value."""
    assert changed({}, lines) == wanted


def test_what_is_there_stays():
    """Changes go on top of a config, which itself is not changed."""
    before = {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": None, "Other": 1}

    after = changed(before, ["ENV PATH=/x:$PATH", "LABEL a=b"])

    assert after == {**before, "Env": ["PATH=/x:/bin"], "Labels": {"a": "b"}}
    assert before["Env"] == ["PATH=/bin"]


def test_a_new_entrypoint_has_no_old_command():
    """The image's command was made for another entrypoint."""
    assert changed({"Cmd": ["x"]}, ["ENTRYPOINT y"]) == {"Entrypoint": ["/bin/sh", "-c", "y"]}


@pytest.mark.parametrize(
    "line",
    [
        "", " ", "CMD", "CMD  ", "RUN x", "FROM x", "CMDx y", "ENV", "ENV A", "ENV =x", "ENV A=1 B",
        "ENV A='x", 'ENV A="x', "ENV A=${B", "ENV A=${B:?x}", "LABEL a", "EXPOSE 0", "EXPOSE 65536",
        "EXPOSE 9-8", "EXPOSE x", "EXPOSE 80/icmp", "EXPOSE 1:2", "USER a b", "STOPSIGNAL 1 2",
        'VOLUME [""]', "EXPOSE 99999999999999999999",
    ],
)  # fmt: skip
def test_a_bad_line_is_refused(line):
    """What docker would refuse or nobody could mean is a usage error that shows the line."""
    with pytest.raises(UsageError) as caught:
        changed({}, [line])
    assert repr(line) in str(caught.value) or "unknown change" in str(caught.value)
