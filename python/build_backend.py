"""Builds the package for pip: libpay88 first, since the extension loads it instead of linking it; then maturin does the rest.

Setting: pip install --config-settings profile=dev ./python builds quickly what runs slowly.

In the sdist the whole Cargo workspace lies below `rust/`, as it is in the repository, so that its lock file holds there too.
"""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from typing import Any

import maturin

prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable

PACKAGE = pathlib.Path(__file__).resolve().parent
UNPACKED = PACKAGE / "rust"
WORKSPACE = UNPACKED if UNPACKED.is_dir() else PACKAGE.parent
# What the workspace's crates are built from besides their own directories.
SHARED = ("Cargo.toml", "Cargo.lock", "clippy.toml", "include", "LICENSE")
_LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.pyc", "*.so", "*.so.*", "*.node", "target", "node_modules", "dist", "rust"
)
_ELSEWHERE = "install it in a container of such a system, say of the image python:3-slim."


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """The first that pip asks, so what is missing is told here. Maturin would bring a Rust of its own, without a word."""
    if not sys.platform.startswith("linux"):
        sys.exit(f"pay88 is made for Linux with glibc, not for {sys.platform}: {_ELSEWHERE}")
    # Up to Python 3.10 the first says gnu.
    if any("musl" in str(sysconfig.get_config_var(name)) for name in ("SOABI", "HOST_GNU_TYPE")):
        sys.exit(f"pay88 is made for Linux with glibc, not with musl: {_ELSEWHERE}")
    if shutil.which("cargo") is None:
        sys.exit(
            "pay88 is built from its sources here, and cargo is missing: install Rust 1.89 or newer (https://rustup.rs), "
            "or install a wheel of pay88, which needs none."
        )
    return []


get_requires_for_build_editable = get_requires_for_build_wheel
get_requires_for_build_sdist = get_requires_for_build_wheel


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    settings = _with_library(config_settings)
    return maturin.build_wheel(wheel_directory, settings, metadata_directory)


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    settings = _with_library(config_settings)
    return maturin.build_editable(wheel_directory, settings, metadata_directory)


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    crates = json.loads(_cargo("metadata", "--no-deps", "--format-version", "1"))["packages"]
    version = next(crate["version"] for crate in crates if crate["name"] == "pay88-python")
    name = f"pay88-{version}"
    archive = pathlib.Path(sdist_directory) / f"{name}.tar.gz"
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch) / name
        shutil.copytree(PACKAGE, root, ignore=_LEFT_OUT)
        (root / "rust").mkdir()
        directories = [pathlib.Path(crate["manifest_path"]).parent for crate in crates]
        for path in [WORKSPACE / shared for shared in SHARED] + directories:
            copy = root / "rust" / path.relative_to(WORKSPACE)
            if path.is_dir():
                shutil.copytree(path, copy, ignore=_LEFT_OUT, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, copy)
        project = root / "pyproject.toml"
        project.write_text(project.read_text().replace('"../bindings/', '"rust/bindings/'))
        metadata = pathlib.Path(scratch) / maturin.prepare_metadata_for_build_wheel(scratch) / "METADATA"
        shutil.copyfile(metadata, root / "PKG-INFO")
        # The same bytes for the same sources: neither who packs them nor when is told.
        with gzip.GzipFile(archive, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(root, name, filter=_nobodys)
    return archive.name


def _with_library(config_settings: dict[str, Any] | None) -> dict[str, Any]:
    """Puts libpay88 beside the extension, and gives the settings by which maturin builds the extension alike."""
    profile = (config_settings or {}).get("profile", "release")
    built = _cargo("build", "--package", "pay88-c", "--profile", profile, "--message-format", "json-render-diagnostics")
    files = [file for line in built.splitlines() for file in json.loads(line).get("filenames", ())]
    library = next(file for file in files if pathlib.Path(file).name == "libpay88_c.so")
    # Put in place by rename: a process that has the old file mapped keeps it whole.
    place = PACKAGE / "pay88" / "libpay88.so.0"
    new = place.with_name(f"{place.name}.new")
    shutil.copyfile(library, new)
    new.replace(place)
    return {"build-args": f"--locked --profile {profile}"}


def _cargo(command: str, *arguments: str) -> str:
    called = ["cargo", command, "--locked", "--manifest-path", str(WORKSPACE / "Cargo.toml"), *arguments]
    done = subprocess.run(called, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode != 0:
        sys.exit(f"pay88 cannot be built: cargo {command} failed.")
    return done.stdout


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without whoever built it, and when."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
