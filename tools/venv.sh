#!/bin/sh
# Make a virtual environment with the first Python that is new enough:  tools/venv.sh FOLDER
set -eu

folder=$1
for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        # Debian's Python comes without venv; only then is there something to install.
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            "$(dirname "$0")/debian.sh" python3-venv
        rm -rf "$folder"
        exec "$python" -m venv "$folder"
    fi
done
echo "no Python 3.11 or newer was found; name one with PYTHON=/path/to/python" >&2
exit 1
