#!/usr/bin/env bash
# What a GPU makes of this package, in at most 8 minutes:
#   bash benchmarks/gpu.sh [--quick] [--out DIR] [--wheels DIR] [--seconds N]
# It lists the machine, installs carried wheels into a folder of its own, and measures cell by cell;
# a killed run goes on where it was. --quick runs all of it in small on a CPU. --wheels is what
# benchmarks/gpu_wheels.py gathered, for a machine without a network. --seconds gives it less time.
# PYTHON names another python3.
set -euo pipefail

quick=() wheels="" out="" seconds=465 python=${PYTHON:-python3}
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=(--quick) ;;
        --out) out=$(realpath -m "${2:?--out needs a folder}"); shift ;;
        --wheels) wheels=$(realpath "${2:?--wheels needs a folder}"); shift ;;
        --seconds) seconds=${2:?--seconds needs a number}; shift ;;
        *) echo "usage: bash benchmarks/gpu.sh [--quick] [--out DIR] [--wheels DIR] [--seconds N]" >&2
           exit 64 ;;
    esac
    shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${out:-$PWD/docs/benchmarks}
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1

"$python" benchmarks/gpu_machine.py "${quick[@]}" --list "$out/gpu_machine.txt"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "$wheels" ]; then
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --root-user-action ignore --target "$scratch/site" "$wheels"/*.whl
    export PYTHONPATH="$scratch/site:$PYTHONPATH"
fi

# Eight minutes less what it took to come here and what it takes to end.
"$python" benchmarks/gpu.py "${quick[@]}" --out "$out" --folder "$scratch" --seconds $((seconds - SECONDS))
