#!/bin/bash
# Rendered by nnlc for the campaign /tmp/nnlc-as-it-was/half.toml and the site my-workstation.
# Start it with: bash FILE, FILE being this script.
# It ends as the worker does: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
# Each start reads that file anew; scripts of 'nnlc submit' name a copy that nobody edits.
# shellcheck disable=SC2317,SC2329 # traps call the functions
set -euo pipefail

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

# The site's own lines. Scripts of modules and conda read unset variables, and fail inside.
set +eu +o pipefail
hint="; if that is no error, write '|| true' behind it in the setup of the site file"
export OURS=1
hint=''
set -euo pipefail

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
# Every mpirun passes USR1 on to its ranks, but Open MPI's kills them at TERM: that is for a second
# signal, unless it is the first one's echo.
first=''
pass_on() {
    if [ -z "$first" ]; then
        first=$SECONDS
        kill -USR1 "$launcher"
    elif [ "$((SECONDS - first))" -gt 1 ]; then
        kill -TERM "$launcher"
    fi
}
set -m # in a group of its own: a terminal's Ctrl-C, or its end, reaches this script alone
mpirun -np 2 </dev/null \
    /usr/bin/python3 -m nnlc.worker /tmp/nnlc-as-it-was/half.toml \
    --results half-done \
    --device auto &
launcher=$!
set +e # from here on a status is looked at
trap - ERR

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
    126 | 127) reason="mpirun could not be started, or could not start its command" ;;
    *) reason="an error, whose words stand above" ;;
esac
if [ "$status" -gt 128 ] && signal=$(kill -l "$status" 2>/dev/null); then
    reason="ranks ended by SIG$signal"
fi
[ -z "$heard" ] || reason+=", after SIG$heard"
end_job "$status" "$reason"
