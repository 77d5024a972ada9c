# ruff: noqa: N999 - PyInstaller looks for this name.
# The extension loads libpay88 by itself, from the directory in which it lies; so nothing that PyInstaller reads names it.
import pathlib

import pay88

# Imported by the extension alone.
hiddenimports = ["pay88._error", "pay88._green"]
datas = [(str(pathlib.Path(pay88.__file__).parent / "libpay88.so.0"), "pay88")]
