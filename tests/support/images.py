"""Images made of real things, as OCI layouts: by mmdebstrap, by umoci, or from this host's files.

What takes long is kept in a folder (`CACHE` in this checkout, ignored by git) under a name that
changes with this module, so an edit here builds anew and nothing has to be cleaned by hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import tars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CACHE = Path(__file__).parents[2] / ".cache"
MINBASE_PROGRAMS = ("mmdebstrap",)
FIVE_LAYERS_PROGRAMS = ("mmdebstrap", "umoci", "busybox", "setcap", "setfattr")
_RECIPE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
_SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def debian_minbase(cache: Path = CACHE) -> Path:
    """This host's Debian release, about 6,000 files in one layer; runs bash. Needs root."""
    return _kept(cache, "minbase", _build_minbase)


def minbase_is_kept(cache: Path = CACHE) -> bool:
    """Whether `debian_minbase` has nothing to build."""
    return _place(cache, "minbase").exists()


def five_layers(cache: Path = CACHE) -> Path:
    """Debian and four layers of changes with every kind of entry, packed by umoci. Needs root.

    A folder of packages comes (2), folders and files go (3), a folder comes back smaller and a
    file gets a second name (4), and odd entries come: capabilities, setuid, devices, a fifo,
    xattrs, long names, names that are no UTF-8, nanoseconds (5).
    """

    def build(layout: Path) -> None:
        _build_five_layers(debian_minbase(cache), layout)

    return _kept(cache, "five-layers", build)


def sample_from_host(layout: Path) -> Path:
    """A small image of this host's own shell and tools with their libraries; needs no privilege."""
    tars.oci_layout(layout, [sample_layer()], config=sample_config())
    return layout


def sample_config() -> dict[str, Any]:
    """The config of `sample_from_host`, but for its layers."""
    return _config("sh", "files of this host")


def sample_layer(names: Iterable[str] = ()) -> bytes:
    """The one layer of `sample_from_host` as a tar; `names` are more programs to put in."""
    programs = [*_TOOLS, *names]
    found = [path for name in programs if (path := shutil.which(name))]
    entries = [tars.directory(name, mode) for name, mode in _SAMPLE_FOLDERS]
    entries += [tars.file(name, data) for name, data in _SAMPLE_FILES]
    entries += [tars.file(f"bin/{Path(path).name}", _read(path), mode=0o755) for path in found]
    libraries = sorted(set().union(*map(_libraries, found)))
    folders = sorted({str(parent) for path in libraries for parent in Path(path).parents} - {"/"})
    entries += [tars.directory(folder.lstrip("/")) for folder in folders]
    entries += [tars.file(path.lstrip("/"), _read(path), mode=0o755) for path in libraries]
    return tars.archive(*entries)


_TOOLS = (
    "sh", "bash", "cat", "chmod", "cp", "echo", "env", "hostname", "id", "ln", "ls", "mkdir", "mv",
    "ps", "pwd", "rm", "rmdir", "sleep", "stat", "stty", "touch", "true", "tty",
)  # fmt: skip
_SAMPLE_FOLDERS = (
    ("./", 0o755), ("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777),
    ("dev", 0o755), ("proc", 0o555), ("sys", 0o555),
)  # fmt: skip
_SAMPLE_FILES = (
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/motd", "A sample image of the host's own programs.\n"),
)


def _place(cache: Path, name: str) -> Path:
    return cache / f"{name}-{_RECIPE}"


def _kept(cache: Path, name: str, build: Callable[[Path], None]) -> Path:
    """The layout called `name` in the cache, built first where it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    final = _place(cache, name)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.exists():
            for old in cache.glob(f"{name}-*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            unfinished = cache / f"{name}-unfinished"
            build(unfinished)
            unfinished.rename(final)
    return final


def _build_minbase(layout: Path) -> None:
    rootfs = layout.with_name(f"{layout.name}.tar")
    sources = [str(path) for path in _SOURCES if path.exists()]
    try:
        _run(
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=tar",
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
            _codename(), str(rootfs), *sources,
        )  # fmt: skip
        made_by = f"mmdebstrap --variant=minbase {_codename()}"
        tars.oci_layout(layout, [rootfs], config=_config("bash", made_by))
    finally:
        rootfs.unlink(missing_ok=True)


def _config(command: str, made_by: str) -> dict[str, Any]:
    """What an image config says beside its layers: a command to run, and how the image came."""
    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    machine = platform.machine()
    return {
        "created": now,
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "config": {"Cmd": [command], "Env": [_PATH]},
        "history": [{"created": now, "created_by": made_by}],
    }


def _codename() -> str:
    match = re.search(r"^VERSION_CODENAME=(.+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    return match[1] if match else "stable"


def _build_five_layers(base: Path, layout: Path) -> None:
    """Change an unpacked bundle again and again, and let umoci pack each change as a layer."""
    bundle, odd = (layout.with_name(f"{layout.name}.{use}") for use in ("bundle", "odd"))
    image = f"{layout}:test"
    shutil.copytree(base, layout)
    try:
        _run("umoci", "unpack", "--image", image, str(bundle))
        for change in (_add_packages, _delete, _recreate):
            change(bundle / "rootfs")
            _run("umoci", "repack", "--refresh-bundle", "--image", image, str(bundle))
        _add_odd_layer(odd, image)
        _run("umoci", "gc", "--layout", str(layout))
    finally:
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.rmtree(odd, ignore_errors=True)


def _add_packages(root: Path) -> None:
    """Layer 2: an application in folders of many small files, with links among them."""
    for package in range(20):
        folder = root / f"opt/app/node_modules/package-{package}"
        (folder / "lib/deep/er").mkdir(parents=True)
        (folder / "package.json").write_text(f'{{"name": "package-{package}"}}\n')
        for number in range(10):
            (folder / f"lib/deep/file-{number}.js").write_text(f"exports.n = {number}\n")
        (folder / "lib/deep/er/main.js").symlink_to("../file-0.js")
    shutil.copy2(_which("busybox"), root / "opt/app/busybox")
    (root / "opt/app/busybox").chmod(0o755)
    for name in ("awk", "vi", "wget"):
        os.link(root / "opt/app/busybox", root / f"opt/app/{name}")


def _delete(root: Path) -> None:
    """Layer 3: folders, files, a symlink and one name of a hard-link group go."""
    shutil.rmtree(root / "usr/share/perl5")
    shutil.rmtree(root / "opt/app/node_modules/package-3")
    shutil.rmtree(root / "opt/app/node_modules/package-4/lib")
    for name in ("etc/motd", "etc/os-release", "opt/app/vi"):
        (root / name).unlink()


def _recreate(root: Path) -> None:
    """Layer 4: a deleted folder returns with less in it, kinds swap, a file gets another name."""
    folder = root / "opt/app/node_modules/package-3"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/new.js").write_text("again\n")
    shutil.rmtree(root / "opt/app/node_modules/package-5")
    (root / "opt/app/node_modules/package-5").write_text("a file now\n")
    (root / "opt/app/node_modules/package-6/package.json").unlink()
    (root / "opt/app/node_modules/package-6/package.json").mkdir()
    os.link(root / "etc/passwd", root / "etc/passwd.copy")
    os.chown(root / "opt/app/node_modules", 1000, 1000)
    (root / "opt/app").chmod(0o2775)


def _add_odd_layer(odd: Path, image: str) -> None:
    """Layer 5: what real layers hold now and then, packed by GNU tar, which keeps all of it."""
    folder = odd / "rootfs/odd"
    folder.mkdir(parents=True)
    for name in ("capable", "setuid", "attributed", "sparse", os.fsdecode(b"latin-\xe9")):
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    (folder / "setuid").chmod(0o4755)
    _run("setcap", "cap_net_raw+ep", str(folder / "capable"))
    _run("setfattr", "-n", "user.comment", "-v", "hello", str(folder / "attributed"))
    os.mkfifo(folder / "pipe", 0o640)
    os.mknod(folder / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(folder / "disk", 0o660 | stat.S_IFBLK, os.makedev(300, 70_000))
    long = folder.joinpath(*["n" * 60] * 3)
    long.mkdir(parents=True)
    (long / ("f" * 200)).write_text("a path longer than a tar header's field\n")
    (folder / "link").symlink_to("t" * 150)
    os.chown(folder / "link", 3_000_000, 3_000_000, follow_symlinks=False)
    os.utime(folder / "attributed", ns=(0, 1_234_567_890_123_456_789))
    os.utime(folder, ns=(0, 1_111_111_111_222_222_222))
    tar = odd / "layer.tar"
    _run(
        "tar", "--create", "--file", str(tar), "--directory", str(odd / "rootfs"),
        "--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--sort=name", "odd",
    )  # fmt: skip
    _run("umoci", "raw", "add-layer", "--image", image, str(tar))


def _libraries(program: str) -> set[str]:
    """The shared libraries that `program` loads, the loader among them."""
    done = subprocess.run(["ldd", program], check=False, capture_output=True, text=True)
    return set(re.findall(r"(/\S+) \(0x", done.stdout))


def _which(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _run(*command: str) -> None:
    """Run a program that has nothing to say; its output is in the error if it fails."""
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
