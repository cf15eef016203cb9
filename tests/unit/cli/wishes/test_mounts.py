"""`-v`, `--mount` and `--tmpfs` mean what they mean to docker."""

from pathlib import Path

import pytest

from layerkit.cli.wishes.longmount import mount
from layerkit.cli.wishes.mounts import mounts, volume
from layerkit.cli.wishes.tmpfs import tmpfs
from layerkit.errors import UsageError
from layerkit.mount import BindMount, TmpfsMount, VolumeMount

HOST = Path("/host")


def bind(source=HOST, target="/ctr", *, readonly=False):
    """What `-v` makes of a folder of the host."""
    return BindMount(source, target, readonly, create=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/host:/ctr", bind()),
        pytest.param("/host:/ctr:ro", bind(readonly=True), id="RT-F12-/host:/ctr:ro"),
        ("/host:/ctr:rw", bind()),
        ("/host:/ctr:z", bind()),
        ("/host:/ctr:ro,Z", bind(readonly=True)),
        ("/host:/ctr:cached", bind()),
        ("/host:/ctr:rprivate,ro", bind(readonly=True)),
        ("/host:/ctr:private", bind()),
        ("/:/ctr:ro", bind(Path("/"), readonly=True)),
        ("//host/./a/../b:/ctr//x/.", bind(Path("/host/b"), "/ctr/x")),
        ("/host:/ctr/../..//x", bind(target="/x")),
        ("name:/ctr", VolumeMount("name", "/ctr")),
        ("name:/ctr:ro", VolumeMount("name", "/ctr", readonly=True)),
        ("na.me_-1:/ctr:nocopy,ro", VolumeMount("na.me_-1", "/ctr", readonly=True, nocopy=True)),
        ("name:/ctr:z,rw", VolumeMount("name", "/ctr")),
        ("/ctr", VolumeMount("", "/ctr")),
        ("/c", VolumeMount("", "/c")),
    ],
)
def test_a_volume(text, wanted):
    """A path of the host is bound and made if missing, a name is a volume, a target alone a new one."""
    assert volume(text) == wanted


@pytest.mark.parametrize(
    ("text", "source"), [("./x:/c", "x"), (".:/c", "."), ("../x:/c", "../x"), (".x/y:/c", ".x/y")]
)
def test_a_relative_folder(monkeypatch, tmp_path, text, source):
    """A source that begins with a point is relative to our working directory."""
    monkeypatch.chdir(tmp_path)

    assert volume(text) == bind(Path(tmp_path, source).resolve(), "/c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":/ctr",
        "/host:",
        "/host:/ctr:",
        "/host::ro",
        "/host:/ctr:ro:z",
        "/a:/b:/c",
        "/host:ctr",
        "/host:/",
        "/host:/..",
        "/host://",
        "/host:ro",
        "/",
        "ctr",
        "name:ctr",
        "x:/ctr",
        "-name:/ctr",
        "na me:/ctr",
        "na/me:/ctr",
        "na\nme:/ctr",
        "n\u00e4me:/ctr",
        "~/x:/ctr",
        "C:/x:/ctr",
        "/host:/ctr:RO",
        "/host:/ctr:ro,rw",
        "/host:/ctr:ro,ro",
        "/host:/ctr:z,Z",
        "/host:/ctr:private,rprivate",
        "/host:/ctr:ro,",
        "/host:/ctr:exec",
        "/host:/ctr:nocopy",
        "name:/ctr:rprivate",
        "/host:/ctr:shared",
        "/host:/ctr:rshared",
        "/host:/ctr:slave",
        "/host:/ctr:rslave",
        "name:/ctr:shared",
    ],
)
def test_a_bad_volume(text):
    """All else is refused in one line with the text; so is propagation that is not private."""
    with pytest.raises(UsageError, match=r"^(invalid|unsupported) -v '") as caught:
        volume(text)

    assert "\n" not in caught.value.message


def test_a_home_folder_is_not_taken_for_a_volume():
    """`~` that the shell left in place gets a hint how folders are written."""
    with pytest.raises(UsageError) as caught:
        volume("~/data:/data")

    assert "absolute path" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type=bind,source=/host,target=/ctr", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,ro", BindMount(HOST, "/ctr", readonly=True)),
        ("TYPE=Bind,Source=/host,destination=/ctr", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,readonly=true", BindMount(HOST, "/ctr", readonly=True)),
        ("type=bind,src=/host,dst=/ctr,readonly=0", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,bind-propagation=rprivate", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,bind-recursive=enabled", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,bind-nonrecursive=false", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,consistency=cached", BindMount(HOST, "/ctr")),
        ("type=bind,src=/host,dst=/ctr,bind-create-src", BindMount(HOST, "/ctr", create=True)),
        ('type=bind,"src=/a,b",dst=/ctr', BindMount(Path("/a,b"), "/ctr")),
        ('type=bind,"src=/a""b",dst=/ctr', BindMount(Path('/a"b'), "/ctr")),
        ("type=bind,src=/a=b,dst=/ctr", BindMount(Path("/a=b"), "/ctr")),
        ("target=/ctr", VolumeMount("", "/ctr")),
        ("src=name,target=/ctr", VolumeMount("name", "/ctr")),
        (
            "type=volume,src=name,target=/ctr,volume-nocopy,ro",
            VolumeMount("name", "/ctr", readonly=True, nocopy=True),
        ),
        ("type=tmpfs,target=/t", TmpfsMount("/t")),
        (
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700,ro",
            TmpfsMount("/t", 1 << 20, 0o700, ("ro",)),
        ),
        ("type=tmpfs,target=/t,tmpfs-size=0", TmpfsMount("/t")),
    ],
)
def test_a_mount(text, wanted):
    """Fields with names, in any order and with any of their names; no source is ever made unasked."""
    assert mount(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "type=bind",
        "type=bind,dst=/ctr",
        "type=bind,src=/host",
        "type=bind,src=name,dst=/ctr",
        "type=bind,src=~/x,dst=/ctr",
        "type=bind,src=/host,dst=ctr",
        "type=bind,src=/host,dst=/",
        "type=bind,src=/host,source=/b,dst=/ctr",
        "type=bind,src=/host,dst=/ctr,ro,readonly",
        "type=bind,src=/host,dst=/ctr,ro=maybe",
        "type=bind,src=/host,dst=/ctr,ro=",
        "type=bind,src,dst=/ctr",
        "type=bind,src=,dst=/ctr",
        "type=bind,src=/host,dst=/ctr,rw",
        "type=bind,src=/host,dst=/ctr,size=1",
        "type=bind, src=/host,dst=/ctr",
        "type=bind,src=/host ,dst=/ctr",
        "type=bind,src=/host,dst=/ctr,volume-nocopy",
        "type=bind,src=/host,dst=/ctr,tmpfs-size=1m",
        "type=bind,src=/host,dst=/ctr,bind-propagation=shared",
        "type=bind,src=/host,dst=/ctr,bind-propagation=x",
        "type=bind,src=/host,dst=/ctr,bind-nonrecursive",
        "type=bind,src=/host,dst=/ctr,bind-recursive=disabled",
        "type=bind,src=/host,dst=/ctr,consistency=x",
        'type=bind,"src=/host,dst=/ctr',
        'type=bind,"src=/host"x,dst=/ctr',
        "type=bind,src=/a\nb,dst=/ctr",
        "type=image,src=a,dst=/ctr",
        "type=,dst=/ctr",
        "type=volume,src=/host,dst=/ctr",
        "type=volume,dst=/ctr,ro",
        "type=volume,src=name,dst=/ctr,volume-driver=nfs",
        "type=tmpfs,src=x,dst=/t",
        "type=tmpfs,dst=/t,tmpfs-size=x",
        "type=tmpfs,dst=/t,tmpfs-mode=9",
        "type=tmpfs,dst=/t,tmpfs-mode=77777",
    ],
)
def test_a_bad_mount(text):
    """Unknown fields, fields of another type, and fields given twice are refused."""
    with pytest.raises(UsageError, match=r"--mount '") as caught:
        mount(text)

    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/t", TmpfsMount("/t")),
        ("/t:", TmpfsMount("/t")),
        ("/t/x/", TmpfsMount("/t/x")),
        pytest.param("/t:size=1m", TmpfsMount("/t", 1 << 20), id="RT-F14-/t:size=1m"),
        (
            "/t:rw,noexec,nosuid,nodev,size=64k,mode=1777",
            TmpfsMount("/t", 64 << 10),
        ),
        ("/t:exec,mode=700", TmpfsMount("/t", mode=0o700, flags=("exec",))),
        ("/t:ro,exec,noexec,dev,suid", TmpfsMount("/t", flags=("ro", "suid", "dev"))),
        ("/t:noatime,sync", TmpfsMount("/t", flags=("sync", "noatime"))),
    ],
)
def test_a_tmpfs(text, wanted):
    """Size, mode, and those flags that differ from what holds anyway; the last of two counts."""
    assert tmpfs(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t",
        "/",
        ":size=1m",
        "/t:size",
        "/t:size=",
        "/t:size=50%",
        "/t:size=-1",
        "/t:mode=8",
        "/t:mode=",
        "/t:mode=-1",
        "/t:mode=0o7",
        "/t:uid=0",
        "/t:bind",
        "/t:ro,",
        "/t:ro=1",
        "/t:ro:exec",
    ],
)
def test_a_bad_tmpfs(text):
    """Options that a tmpfs has not, or that are no number, are refused."""
    with pytest.raises(UsageError, match=r"--tmpfs '"):
        tmpfs(text)


def test_mounts_are_put_together():
    """All of `-v` come first, then all of `--mount`, then all of `--tmpfs`."""
    found = mounts(["name:/a", "/b"], ["type=bind,src=/host,dst=/c"], ["/d"])

    assert [each.target for each in found] == ["/a", "/b", "/c", "/d"]


@pytest.mark.parametrize(
    "texts",
    [
        (["one:/x", "/host:/x/"], [], []),
        (["/x"], ["dst=/x"], []),
        ([], ["dst=/x"], ["/y/../x:ro"]),
        ([], [], ["/x", "/x"]),
    ],
)
def test_two_mounts_at_one_place(texts):
    """One of them would hide the other, so both are refused."""
    with pytest.raises(UsageError, match=r"^duplicate mount point: /x$"):
        mounts(*texts)
