#!/bin/sh
# Lays out what the image adds to its base: sh build.sh DESTINATION SOURCE
#
# DESTINATION is an empty folder that stands for the image's root; SOURCE is a checkout, which is only read. PYTHON names
# the base's interpreter (python3). The same source, interpreter and SOURCE_DATE_EPOCH give the same bytes.
set -eu
umask 022

if [ $# -ne 2 ]; then
    echo "usage: sh build.sh DESTINATION SOURCE" >&2
    exit 2
fi
mkdir -p "$1"
destination=$(cd "$1" && pwd -P)
source=$(cd "$2" && pwd -P)
if [ -n "$(ls -A "$destination")" ]; then
    echo "error: $destination is not empty; give a new folder" >&2
    exit 2
fi
python=$(command -v "${PYTHON:-python3}") || { echo "error: no ${PYTHON:-python3} here; set PYTHON to the base's" >&2; exit 2; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800} # 1980: the earliest a wheel can say
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
export UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy

environment="$destination/opt/mds/.venv"
documents="$destination/usr/share/doc/mds"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$destination/opt/mds" "$documents" "$destination/var/lib/mds"

# Tools of the build stay in $work: the image has neither uv nor pip nor a build backend.
"$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes \
    --only-binary :all: --target "$work/uv" -r "$source/bootstrap.lock"
uv() { "$work/uv/bin/uv" --quiet "$@"; }

uv venv --relocatable --python "$python" "$environment"
VIRTUAL_ENV="$environment" uv pip sync --require-hashes --only-binary :all: "$source/infra/image/requirements.lock"

uv build --wheel --python "$python" --build-constraints "$source/requirements.lock" --require-hashes \
    --out-dir "$work/wheel" "$source"
VIRTUAL_ENV="$environment" uv pip install --no-cache --no-index --find-links "$work/wheel" --no-deps market-data-service

# What names this build's time or place, and what only a shell at a prompt would use.
find "$environment" -name uv_cache.json -delete
find "$environment" -path '*.dist-info/RECORD' -exec sed -i '/\/uv_cache\.json,/d' {} +
rm -f "$environment"/bin/activate* "$environment"/bin/deactivate* "$environment"/bin/*.bat \
    "$environment/.gitignore" "$environment/CACHEDIR.TAG" "$environment/.lock"

# Never compared with sources again, which nobody can change here; tests of other people's packages are not run.
"$environment/bin/python" -m compileall -q -j 2 -x '/tests/' --invalidation-mode unchecked-hash \
    -s "$destination" -p / "$environment/lib"

uv venv --python "$python" "$work/sbom"
sed -n '/^cyclonedx-bom==/,/[^\\]$/p' "$source/infra/deploy.lock" >"$work/sbom.in"
VIRTUAL_ENV="$work/sbom" uv pip install --require-hashes --only-binary :all: \
    --constraint "$source/infra/deploy.lock" --requirement "$work/sbom.in"
(cd "$source" && PYTHONDONTWRITEBYTECODE=1 "$work/sbom/bin/python" -m infra.image.sbom "$environment" "$documents")
cp "$source/LICENSE" "$documents/LICENSE"

chmod -R u=rwX,go=rX "$destination"
find "$destination" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
