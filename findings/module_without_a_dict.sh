#!/bin/sh
# cryptography 50.0.2 with cffi 2.1.1. Guessed: what is in sys.modules and is an instance of types.ModuleType has
# a __dict__. Seen: `_openssl.lib` says that it is a module and is a `_cffi_backend.Lib`, which has none, so that
# vars(module), and object.__getattribute__(module, "__dict__"), raise for it. Whoever lists the files of
# sys.modules has to expect that.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cryptography==50.0.2 cffi==2.1.1
"$folder/venv/bin/python" - <<'PYTHON'
import sys, types
import cffi, cryptography
import cryptography.hazmat.bindings.openssl.binding

lib = sys.modules["_openssl.lib"]
print("cryptography", cryptography.__version__, "cffi", cffi.__version__, "Python", sys.version.split()[0])
print("isinstance of ModuleType:", isinstance(lib, types.ModuleType), "and of the type", type(lib))
try:
    object.__getattribute__(lib, "__dict__")
except AttributeError as error:
    print("AttributeError:", error)
else:
    sys.exit("it has a __dict__ now")
assert isinstance(lib, types.ModuleType) and not issubclass(type(lib), types.ModuleType)
PYTHON
