#!/bin/bash
#SBATCH --job-name=smoke
#SBATCH --time=02:00:00
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --output=smoke-%j.out
#SBATCH --open-mode=append
# Rendered by nnlc for the campaign smoke and the site slurm.
# Start it with: sbatch FILE, FILE being this script.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
set -euo pipefail

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# One rank a GPU. Nothing may follow: the last command's status is the script's.
srun --nodes=1 --ntasks=4 --ntasks-per-node=4 \
    --cpus-per-task=8 --gpus-per-task=1 --gpu-bind=closest \
    --kill-on-bad-exit=1 \
    python -m nnlc.worker smoke --device cuda
