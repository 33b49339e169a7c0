#!/bin/bash
#BSUB -J "paper[1-12]"
#BSUB -P ABC123
#BSUB -W 1:55
#BSUB -nnodes 8
#BSUB -o paper-%J-%I.out
#BSUB -e paper-%J-%I.err
#BSUB -wa URG
#BSUB -wt 3
#BSUB -alloc_flags "NVME smt1 gpumps"
# Rendered by nnlc for the campaign paper and the site summit.
# Start it with: bsub FILE, FILE being this script; 'nnlc submit' checks it and does so.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# Every node gets the images on its own disk, which only what jsrun starts can see.
staged="/mnt/bb/$USER/nnlc-images"
jsrun -n 8 -r 1 -a 1 -c 1 -g 0 cp -rT -- /projects/abc123/images "$staged" || {
    echo "the images could not be copied to /mnt/bb/$USER of every node" >&2
    exit 1
}

# One rank a GPU, in the background: bash hears a signal only while it waits.
jsrun -n 48 -r 6 -a 1 -c 7 -g 1 \
    -b rs -d packed -l gpu-cpu -E OMP_NUM_THREADS=1 \
    --smpiargs=-disable_gpu_hooks \
    '/opt/my env/bin/python' -m nnlc.worker paper \
    --results 'results/the paper'"'"'s' \
    --images "$staged" \
    --elements 12 --element "$((0 + LSB_JOBINDEX - 1))" \
    --time-left "$((115 - (SECONDS + 59) / 60))" \
    --device cuda &
launcher=$!
set +e # from here on a status is looked at

# The scheduler's warning saves every network; the ranks then leave with 75 by themselves.
trap 'kill -URG "$launcher"' URG
status=129
while [ "$status" -gt 128 ] && kill -0 "$launcher" 2>/dev/null; do
    wait "$launcher"
    status=$?
done
if [ "$status" -gt 128 ]; then # it may have ended while the warning was passed on
    wait "$launcher" 2>/dev/null
    late=$?
    [ "$late" -eq 127 ] || status=$late
fi
# Unfinished, or ended by a signal: the next job of the chain, but not over and over for nothing.
again=/projects/abc123/results/paper/jobs/paper.sh
if { [ "$status" -eq 75 ] || [ "$status" -gt 128 ]; } && [ "$SECONDS" -ge 60 ]; then
    bsub -J paper"[$LSB_JOBINDEX]" -w "ended(${LSB_JOBID}[$LSB_JOBINDEX])" "$again" | tee -a "$again.jobs"
fi
exit "$status"
