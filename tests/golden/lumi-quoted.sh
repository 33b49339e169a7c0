#!/bin/bash
#SBATCH --job-name=curves
#SBATCH --account=ABC123
#SBATCH --time=00:30:00
#SBATCH --nodes=1
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=7
#SBATCH --gpus-per-node=8
#SBATCH --output=curves-%j.out
#SBATCH --open-mode=append
#SBATCH --signal=B:URG@180
#SBATCH --requeue
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --comment='of $USER, with ; & |'
#SBATCH --partition=small-g
# Rendered by nnlc for the campaign curves and the site boxed.
# Submit it with: sbatch FILE, or with 'nnlc submit', which checks it first.
# Its log is in the folder where you submit it; a log of 'nnlc submit' is in the results folder.
# Exit status, as the worker's: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
# shellcheck disable=SC2317,SC2329 # traps call the functions
# shellcheck disable=SC2016 # what is in quotes is for other programs
set -euo pipefail

# Must equal the walltime in the directives above.
walltime_minutes=30
begun=$(($(printf '%(%s)T' -1) - SECONDS))

# The log's last "job script: status" gives the reason of the end, except after SIGKILL.
launcher='' heard='' reason='' said='' hint=''
go_on="submit it again to continue"
this_job="$(uname -n)-$$-$(printf '%(%s)T' -1)" alone=''
# Tell the user that this job failed, and that no other job goes on. Rank 0 tells of all else, and of
# the failure if it still can: each is told once.
tell() { # STATUS REASON
    case $1 in
        0 | 3) return 0 ;;
        75 | 129 | 1[3-9]? | 2??) [ "${2%"; $go_on"}" != "$alone" ] || return 0 ;;
    esac
    case $2 in
        *"the next job is submitted"*) return 0 ;;
        *"refused the next job"*) ;; # at the walltime, of which PBS tells by SIGTERM, too
        *) [ -z "$heard" ] || return 0 ;;
    esac
    if timeout -k 5 90 \
        apptainer exec --rocm --bind '/data/a b,/opt' \
        --bind '/results/a $(touch x)' \
        '/images/it'"'"'s $(touch x).sif' \
        python -m nnlc notify '/results/a $(touch x)' --failed "$2" --job "$this_job" \
--id "${job:-}" --command 'printf '"'"'%s\n'"'"' "$HOME" `id` > "it'"'"'s over"' </dev/null >/dev/null; then
        return 0
    fi
    echo "job script: nnlc could not tell of this: the script runs the notify command itself" >&2 || true
    # The folder's disk may be away or hang: timeout starts cd, too.
    timeout -k 5 30 /bin/sh -c 'cd -- "$1"; exec /bin/sh -c "$2"' sh \
        '/results/a $(touch x)' 'printf '"'"'%s\n'"'"' "$HOME" `id` > "it'"'"'s over"' \
        < <(failed_event "$1" 2>/dev/null) >/dev/null 2>&1 ||
        echo "job script: nobody was told: the notify command failed with status $?" >&2 || true
}
failed_event() { # STATUS; its words are JSON, whatever they are
    local host
    host=$(uname -n)
    printf '%s, "status": %d, "time": "%s", "host": "%s"}\n' '{"event": "failed", "text": "a job of campaign curves failed, and nnlc could not tell why: see its log", "campaign": "curves", "results": "/results/a $(touch x)"' \
        "$1" "$(TZ=UTC0 printf '%(%Y-%m-%dT%H:%M:%S+00:00)T' -1)" "${host//[^A-Za-z0-9._-]/}"
}
end_job() { # STATUS REASON
    said=yes
    echo "job script: status $1: $2" >&2 || true # the log's disk may be full
    tell "$1" "$2"
    exit "$1"
}
failed() { # STATUS LINE COMMAND; failures inside sourced files don't count
    [ -n "${BASH_SOURCE[2]:-}" ] || end_job 1 "line $2 failed with status $1: $3$hint"
}
ended() { # STATUS COMMAND
    [ -z "$said" ] || return 0
    [ -z "$reason" ] || end_job "$1" "$reason"
    end_job "$(($1 ? $1 : 1))" "it ended too early, at: $2"
}
pass_on() { kill -TERM "$launcher"; }
hear() { # SIGNAL
    heard=$1
    echo "job script: received SIG$1 from the user, the scheduler or the system" >&2 || true
    [ -n "$launcher" ] || end_job 75 "received SIG$1 before any rank began; $go_on"
    pass_on
}
trap 'hear TERM' TERM
trap 'hear INT' INT
trap 'hear HUP' HUP
trap 'hear QUIT' QUIT
trap 'hear USR1' USR1
trap 'hear USR2' USR2
trap 'hear XCPU' XCPU
trap 'hear PWR' PWR
trap 'failed "$?" "$LINENO" "$BASH_COMMAND"' ERR
trap 'ended "$?" "$BASH_COMMAND"' EXIT

# Remove options of Slurm's commands from the environment, or they would apply to this job.
unset "${!SBATCH_@}" "${!SRUN_@}" "${!SCANCEL_@}" "${!SCONTROL_@}" "${!SLURM_CPU_BIND@}" \
    SLURM_CLUSTERS SLURM_EXPORT_ENV SLURM_TIMELIMIT SLURM_EXACT SLURM_EXCLUSIVE SLURM_OVERLAP \
    SLURM_IMMEDIATE SLURM_LABELIO SLURM_STEP_GRES SLURM_{PRO,EPI}LOG SLURM_TASK_{PRO,EPI}LOG \
    SLURM_STD{IN,OUT,ERR}MODE SLURM_REMOTE_CWD SLURM_WORKING_DIR SLURM_TEST_EXEC SLURM_THREADS \
    SLURM_ACCOUNT SLURM_PARTITION SLURM_QOS SLURM_RESERVATION SLURM_WCKEY SLURM_DEPENDENCY
job=${SLURM_JOB_ID:-}

# Nodes of this site that took a job down or whose GPUs fail, as the worker lists them, until when.
bad_nodes() {
    local until site host found=''
    while read -r until site host; do
        [ "$site" != boxed ] || [ "$until" -le "$(printf '%(%s)T' -1)" ] || found+=",$host"
    done < '/results/a $(touch x)/journal/bad_nodes'
    echo "${found#,}"
}
bad_before=$(bad_nodes 2>/dev/null || true)

# The site file's setup. Scripts of modules and conda use unset variables and commands that fail.
set +eu +o pipefail
hint="; to ignore this failure, append '|| true' to the line in the site file's setup"
export MIOPEN_USER_DB_PATH="/tmp/miopen-$USER"
export MIOPEN_CUSTOM_CACHE_DIR="$MIOPEN_USER_DB_PATH"
hint=''
set -euo pipefail

# Tables have the same bytes only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1
[ -r '/images/it'"'"'s $(touch x).sif' ] || end_job 1 '/images/it'"'"'s $(touch x).sif'": no such \
container image, or not readable on this node"
mkdir -p -- '/results/a $(touch x)' # a container shows only folders that exist

# Don't end if the log's reader, such as tee, is gone.
trap '' PIPE
# One rank per GPU, in the background: bash runs traps only while it waits.
# If a rank ends, srun ends the others after 60 s.
srun --nodes=1 --ntasks=8 --ntasks-per-node=8 \
    --cpus-per-task=7 \
    --kill-on-bad-exit=0 --wait=60 --label \
    --cpu-bind=mask_cpu:fe \
    '--msg=$(touch x)' \
    bash -c 'eval "$1" || exit; shift; eval "$1" || exit; shift; exec "$@"' rank \
    'export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"' \
    'export SEEN='"'"'it is $HOME'"'"'' \
    apptainer exec --rocm --bind '/data/a b,/opt' \
    --bind '/results/a $(touch x)' \
    '/images/it'"'"'s $(touch x).sif' \
    python -m nnlc.worker curves \
    --results '/results/a $(touch x)' \
    --gpu '{"model":"AMD MI250X (one GCD, 64 GB)","fp32_teraflops":23.95,"memory_gigabytes":64.0,"memory_gigabytes_per_second":1638.0,"setup_seconds_a_convolution":6.0}' \
    --job "${job:-}" --begun "$begun" --nodes 1 \
    --notify 'printf '"'"'%s\n'"'"' "$HOME" `id` > "it'"'"'s over"' --notify-as "$this_job" \
    --site boxed \
    --time-left "$((walltime_minutes - (SECONDS + 59) / 60))" \
    --device cuda &
launcher=$!
set +e # from here on, the script checks statuses itself
trap - ERR

# At the scheduler's warning signal, ranks save their networks and exit with 75. scancel signals
# every rank; srun would not forward the signal.
pass_on() { scancel --signal=URG "$job"; }
trap pass_on URG
# A signal interrupts wait, with a status above 128: wait again while the launcher runs.
status=129
while [ "$status" -gt 128 ] && kill -0 "$launcher" 2>/dev/null; do
    wait "$launcher"
    status=$?
done
if [ "$status" -gt 128 ]; then # it may have ended while the signal was forwarded
    wait "$launcher" 2>/dev/null
    late=$?
    [ "$late" -eq 127 ] || status=$late
fi
case $status in
    0) reason="nothing is left to train" ;;
    3) reason="nothing is left to train, but some tables are missing or damaged: nnlc status says why" ;;
    75) reason="unfinished" ;;
    126 | 127) reason="srun could not be started, or could not start its command" ;;
    *) reason="an error; see the message above" ;;
esac
if [ "$status" -gt 128 ] && signal=$(kill -l "$status" 2>/dev/null); then
    reason="ranks ended by SIG$signal"
fi
[ -z "$heard" ] || reason+=", after SIG$heard"
alone=$reason
# Unfinished, or ended by a signal: requeue the job, unless it did nothing, without bad nodes.
bad=$(bad_nodes 2>/dev/null)
if [ "$status" -eq 75 ] || [ "$status" -gt 128 ]; then
    if [ -n "$heard" ]; then
        reason+="; not requeued, since a signal asked it to end"
    elif [ "$SECONDS" -lt 60 ] && [ "$bad" = "$bad_before" ]; then
        reason+="; not requeued, since it ran for less than 60 s"
    elif [ "${SLURM_RESTART_COUNT:-0}" -ge 1000 ]; then
        reason+="; not requeued, since it was requeued 1000 times before"
    else
        echo "job script: status $status: $reason; requeueing it" >&2
        trap '' TERM # Slurm sends it when it requeues a job
        said=yes
        if scontrol requeue "$job"; then
            [ -z "$bad$bad_before" ] ||
                scontrol update "JobId=$job" ExcNodeList="$bad" ||
                echo "job script: the next start may get $bad again" >&2
            exit "$status"
        fi
        reason+="; scontrol requeue failed"
    fi
fi
case "$status $reason" in
    *"the next job is submitted"*) ;;
    "75 "*) reason+="; $go_on" ;;
esac
end_job "$status" "$reason"
