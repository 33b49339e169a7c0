#!/bin/bash
# Rendered by nnlc for the campaign paper and the site my-workstation.
# Start it with: bash FILE, FILE being this script; 'nnlc submit' checks it and does so.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The site's own lines. Modules and conda read variables that nobody has set.
set +u
source env/bin/activate
set -u

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU, in the background: bash hears a signal only while it waits.
mpirun -np 4 \
    -bind-to \
    core:2 \
    '/opt/my env/bin/python' -m nnlc.worker paper \
    --results 'results/the paper'"'"'s' \
    --images /projects/abc123/images \
    --device auto &
launcher=$!
set +e # from here on a status is looked at

# The scheduler's warning saves every network; the ranks then leave with 75 by themselves.
trap 'kill -TERM "$launcher"' TERM INT USR1 # mpirun passes TERM on
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
exit "$status"
