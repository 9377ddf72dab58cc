#!/usr/bin/env bash
# What needs a GPU, in at most 8 minutes: the tests, then the figures that matter most.
#
#     bash benchmarks/gpu.sh [RESULTS]
#
# It needs no network and installs nothing: the workspace's distributions are put on the path as they are, and the
# packages that they need have to be there (the first lines name those that are not). RESULTS gets the figures as JSON.
set -uo pipefail
cd "$(dirname "$0")/.."
results=$(realpath -m "${1:-$(mktemp -d)}")
python=${PYTHON:-python3}
device=$("$python" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
export PYTHONPATH="$("$python" benchmarks/workspace.py "$site")${PYTHONPATH:+:$PYTHONPATH}" FTRUN_CACHE="$site/cache"
[ "$device" = cuda ] || echo "no GPU here: the tests are skipped, and the figures are a processor's"

echo "== tests"
timeout 240 "$python" -m pytest -n0 -q -p no:cacheprovider tests/test_gpu.py
tests=$?

echo "== figures: ResNet-18 at 32 px, from the start of the process to its end, and in the loop"
timeout 200 "$python" benchmarks/run.py --rows ten-epochs --device "$device" --images "${IMAGES:-45000}" \
    --epochs "${EPOCHS:-3}" --results "$results/results"
exit $tests
