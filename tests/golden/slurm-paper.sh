#!/bin/bash
#SBATCH --job-name=paper
#SBATCH --account=m1234_g
#SBATCH --partition=gpu
#SBATCH --time=01:55:00
#SBATCH --nodes=8
#SBATCH --ntasks=32
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --array=0-11
#SBATCH --output=paper-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --signal=B:URG@180
#SBATCH --requeue
#SBATCH --constraint=gpu
#SBATCH --qos=regular
# Rendered by nnlc for the campaign paper and the site my-slurm.
# Start it with: sbatch FILE, FILE being this script; 'nnlc submit' checks it and does so.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The site's own lines. Modules and conda read variables that nobody has set.
set +u
module load python
source "$HOME/env/bin/activate"
set -u

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU, in the background: bash hears a signal only while it waits.
# A rank that ends before the others ends them all after a minute.
srun --nodes=8 --ntasks=32 --ntasks-per-node=4 \
    --cpus-per-task=8 \
    --gpus-per-task=1 \
    --kill-on-bad-exit=0 --wait=60 --label \
    --mpi=pmix \
    --cpu-bind=cores \
    '/opt/my env/bin/python' -m nnlc.worker paper \
    --results 'results/the paper'"'"'s' \
    --images /projects/abc123/images \
    --mps \
    --elements 12 --element "$((0 + SLURM_ARRAY_TASK_ID))" \
    --time-left "$((115 - (SECONDS + 59) / 60))" \
    --device cuda &
launcher=$!
set +e # from here on a status is looked at

# The scheduler's warning saves every network; the ranks then leave with 75 by themselves.
# Slurm brings it to every rank; srun would keep it to itself.
job="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" # the last element's SLURM_JOB_ID is the array's
trap 'scancel --signal=URG "$job"' URG
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
# Unfinished, or ended by a signal: into the queue again, but not over and over for nothing.
if [ "$status" -eq 75 ] || [ "$status" -gt 128 ]; then
    if [ "$SECONDS" -ge 60 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 1000 ]; then
        scontrol requeue "$job"
    fi
fi
exit "$status"
