#!/bin/bash
# Rendered by nnlc for the campaign smoke and the site local.
# Submit it with: bash FILE.
# Exit status, as the worker's: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
# shellcheck disable=SC2317,SC2329 # traps call the functions
set -euo pipefail

# The log's last "job script: status" gives the reason of the end, except after SIGKILL.
launcher='' heard='' reason='' said='' hint=''
go_on="start it again to continue"
end_job() { # STATUS REASON
    said=yes
    echo "job script: status $1: $2" >&2 || true # the log's disk may be full
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

# Tables have the same bytes only if these are set before Python starts.
export CUBLAS_WORKSPACE_CONFIG=:4096:8
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1

# Don't end if the log's reader, such as tee, is gone.
trap '' PIPE
# One rank per GPU, in the background: bash runs traps only while it waits.
# The first signal becomes USR1, which every mpirun forwards: ranks save and exit. A second signal,
# more than a second later, becomes TERM, at which Open MPI kills the ranks.
first=''
pass_on() {
    if [ -z "$first" ]; then
        first=$SECONDS
        kill -USR1 "$launcher"
    elif [ "$((SECONDS - first))" -gt 1 ]; then
        kill -TERM "$launcher"
    fi
}
set -m # own process group: a terminal's Ctrl-C or hang-up reaches only this script
mpirun -np 2 </dev/null \
    python -m nnlc.worker smoke \
    --results results/smoke \
    --device auto &
launcher=$!
set +e # from here on, the script checks statuses itself
trap - ERR

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
    126 | 127) reason="mpirun could not be started, or could not start its command" ;;
    *) reason="an error; see the message above" ;;
esac
if [ "$status" -gt 128 ] && signal=$(kill -l "$status" 2>/dev/null); then
    reason="ranks ended by SIG$signal"
fi
[ -z "$heard" ] || reason+=", after SIG$heard"
case "$status $reason" in
    *"the next job is submitted"*) ;;
    "75 "*) reason+="; $go_on" ;;
esac
end_job "$status" "$reason"
