#!/bin/bash
#BSUB -J "half"
#BSUB -P ABC123
#BSUB -W 2:00
#BSUB -nnodes 1
#BSUB -o half-%J.out
#BSUB -e half-%J.err
#BSUB -wa URG
#BSUB -wt 3
#BSUB -alloc_flags 'nvme smt1'
# Rendered by nnlc for the campaign /tmp/nnlc-as-it-was/half.toml and the site my-lsf.
# Start it with: bsub < FILE, FILE being this script; 'nnlc submit' checks it and does so.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
# Each start reads that file anew; scripts of 'nnlc submit' name a copy that nobody edits.
# shellcheck disable=SC2317,SC2329 # traps call the functions
set -euo pipefail

# The walltime in the directives above, from which ranks count down: change both.
walltime_minutes=120

# Every end has its reason in the log, in its last line; only SIGKILL leaves none.
launcher='' heard='' reason='' said='' hint=''
end_job() { # STATUS REASON
    said=yes
    echo "job script: status $1: $2" >&2 || true # the log's disk may be full
    exit "$1"
}
failed() { # STATUS LINE COMMAND; a file that is sourced may fail inside
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
    echo "job script: SIG$1 came, from its user, the scheduler or the system" >&2 || true
    [ -n "$launcher" ] || end_job 75 "SIG$1 came before any rank began; started again it goes on"
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

# Options that the submitting shell exported for bsub would count for the next job too.
unset "${!BSUB_@}" LSB_DEFAULTPROJECT LSB_DEFAULTQUEUE LSB_DEFAULT_JOBGROUP LSB_DEFAULT_USERGROUP

# The same network gives the same table only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1
[ -r /tmp/nnlc-as-it-was/half.toml ] || end_job 1 /tmp/nnlc-as-it-was/half.toml": the campaign is gone or can't be \
read here; if its folder was moved, submit it again from there"

# A log whose reader is gone, such as tee after Ctrl-C, is no reason to end.
trap '' PIPE
# One rank a GPU, in the background: bash hears a signal only while it waits.
jsrun -n 6 -r 6 -a 1 -c 7 -g 1 \
    -b rs -d packed -l gpu-cpu -E OMP_NUM_THREADS=1 \
    --smpiargs=-disable_gpu_hooks \
    /usr/bin/python3 -m nnlc.worker /tmp/nnlc-as-it-was/half.toml \
    --results half-done \
    --time-left "$((walltime_minutes - (SECONDS + 59) / 60))" \
    --device cuda &
launcher=$!
set +e # from here on a status is looked at
trap - ERR

# The scheduler's warning saves every network; the ranks then leave with 75 by themselves.
pass_on() { kill -URG "$launcher"; }
trap pass_on URG
# A signal ends wait too, with a status above 128: wait again while the launcher is there.
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
case $status in
    0) reason="nothing is left to train" ;;
    3) reason="nothing is left to train, but not every table stands: nnlc status says why" ;;
    75) reason="unfinished; started again it goes on" ;;
    126 | 127) reason="jsrun could not be started, or could not start its command" ;;
    *) reason="an error, whose words stand above" ;;
esac
if [ "$status" -gt 128 ] && signal=$(kill -l "$status" 2>/dev/null); then
    reason="ranks ended by SIG$signal"
fi
[ -z "$heard" ] || reason+=", after SIG$heard"
# Unfinished, or ended by a signal: the next job of the chain, but not over and over for nothing.
again=/tmp/nnlc-as-it-was/lsf.sh
if [ "$status" -eq 75 ] || [ "$status" -gt 128 ]; then
    if [ -n "$heard" ]; then
        reason+="; no next job, since it was told to end"
    elif [ "$SECONDS" -lt 60 ]; then
        reason+="; no next job: it ended within 60 s"
    else
        bsub -w "ended($LSB_JOBID)" < "$again" | tee -a "$again.jobs"
        case "${PIPESTATUS[*]}" in
            "0 0") reason+="; the next job is submitted" ;;
            0*) reason+="; the next job is submitted, but $again.jobs could not be written" ;;
            *) reason+="; bsub refused the next job" ;;
        esac
    fi
fi
end_job "$status" "$reason"
