#!/bin/bash
#SBATCH --job-name=paper
#SBATCH --account=m1234_g
#SBATCH --partition=gpu
#SBATCH --time=25:05:00
#SBATCH --nodes=8
#SBATCH --ntasks=32
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --output=paper-%j.out
#SBATCH --open-mode=append
#SBATCH --constraint=gpu
#SBATCH --qos=regular
# Rendered by nnlc for the campaign paper and the site my-slurm.
# Start it with: sbatch FILE, FILE being this script.
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

# One rank a GPU. Nothing may follow: the last command's status is the script's.
srun --nodes=8 --ntasks=32 --ntasks-per-node=4 \
    --cpus-per-task=8 --gpus-per-task=1 --gpu-bind=closest \
    --kill-on-bad-exit=1 \
    --mpi=pmix \
    --cpu-bind=cores \
    '/opt/my env/bin/python' -m nnlc.worker paper --results 'results/the paper'"'"'s' --device cuda
