"""Tells PyInstaller what belongs to pay88. It finds this by the entry point pyinstaller40 of the package."""

from __future__ import annotations

import pathlib


def hook_directories() -> list[str]:
    return [str(pathlib.Path(__file__).parent)]
