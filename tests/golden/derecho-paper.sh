#!/bin/bash
#PBS -N paper
#PBS -A ABC123
#PBS -l select=8:ncpus=64:mpiprocs=4:ngpus=4
#PBS -l walltime=01:55:00
#PBS -j oe
#PBS -r y
#PBS -l place=scatter
#PBS -k oed
#PBS -q main
#PBS -J 0-11
# Rendered by nnlc for the campaign paper and the site derecho.
# Submit it with: qsub FILE, or with 'nnlc submit', which checks it first.
# Its log is in the folder where you submit it; a log of 'nnlc submit' is in the results folder.
# Exit status, as the worker's: 0 done, 3 done with failures, 75 unfinished (start again), 1 error.
# shellcheck disable=SC2317,SC2329 # traps call the functions
set -euo pipefail

# Must equal the walltime in the directives above.
walltime_minutes=115
begun=$(($(printf '%(%s)T' -1) - SECONDS))

# The log's last "job script: status" gives the reason of the end, except after SIGKILL.
launcher='' heard='' reason='' said='' hint=''
go_on="submit it again to continue"
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

# PBS starts jobs in the home directory.
cd "${PBS_O_WORKDIR:-.}" || end_job 1 "its folder, $PBS_O_WORKDIR, can't be entered on this node"
# Remove options of qsub and of HPE's mpiexec from the environment.
unset PBS_DPREFIX "${!PALS_@}"
# By default HPE's mpiexec kills all ranks once one ends with 3, 75 or another status than 0.
export PALS_ABORT_ON_FAILURE=0
job=${PBS_JOBID:-}

# Nodes of this site that took a job down or whose GPUs fail, as the worker lists them, until when.
bad_nodes() {
    local until site host found=''
    while read -r until site host; do
        [ "$site" != derecho ] || [ "$until" -le "$(printf '%(%s)T' -1)" ] || found+=",$host"
    done < 'results/the paper'"'"'s/journal/bad_nodes'
    echo "${found#,}"
}
bad_before=$(bad_nodes 2>/dev/null || true)
# Ranks start only on good nodes, 8 at most. A job has a spare node if some may be bad.
ranks=32 rank_nodes=8 spare=0 chosen='' left_out=''
job_nodes=$((rank_nodes + spare))
choose_nodes() { # reads the job's nodes, each from one line or several
    local host all=0 good=0
    local -A seen=()
    while read -r host; do
        if [ -z "$host" ] || [ -n "${seen[$host]:-}" ]; then continue; fi
        seen[$host]=1 all=$((all + 1))
        case ,$bad_before, in # either name may have a domain
            *,"$host",* | *,"$host".* | *,"${host%%.*}",*) left_out+=,$host ;;
            *) good=$((good + 1)) && { [ "$good" -gt "$rank_nodes" ] || chosen+=,$host; } ;;
        esac
    done
    [ "$all" -eq 0 ] || job_nodes=$all
    chosen=${chosen#,} left_out=${left_out#,}
    if [ -z "$left_out" ]; then chosen='' && return; fi
    [ "$good" -gt 0 ] || end_job 1 "no good node is left: jobs ended or ranks failed on $left_out, and \
'nnlc status' says why; submit again to get other nodes, or with run.bad_nodes = 0 to use these"
    [ "$good" -ge "$rank_nodes" ] || rank_nodes=$good
    ranks=$((4 * rank_nodes))
    echo "job script: $ranks ranks on $chosen, none on $left_out, which is bad" >&2 || true
}
[ ! -r "${PBS_NODEFILE:-}" ] || choose_nodes < "$PBS_NODEFILE"

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
# Ranks see all GPUs of their node: the rank's number on the node chooses one.
mpiexec -n "$ranks" -ppn 4 ${chosen:+"-hosts"} ${chosen:+"$chosen"} \
    --depth=16 \
    --cpu-bind=depth \
    --no-abort-on-failure \
    '/opt/my env/bin/python' -m nnlc.worker paper \
    --results 'results/the paper'"'"'s' \
    --images /projects/abc123/images \
    --gpu '{"model":"NVIDIA A100 (SXM4, 40 GB)","fp32_teraflops":19.5,"memory_gigabytes":40.0,"memory_gigabytes_per_second":1555.0}' \
    --job "${job:-}" --begun "$begun" --nodes "$job_nodes" \
    --elements 12 --element "$((0 + PBS_ARRAY_INDEX))" \
    --site derecho \
    --time-left "$((walltime_minutes - (SECONDS + 59) / 60))" \
    --device cuda &
launcher=$!
set +e # from here on, the script checks statuses itself
trap - ERR

# PBS sends no warning before the walltime: ranks save their networks by the clock, and at
# 'qsig -s URG' or SIGTERM, which is followed by SIGKILL.
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
    126 | 127) reason="mpiexec could not be started, or could not start its command" ;;
    *) reason="an error; see the message above" ;;
esac
if [ "$status" -gt 128 ] && signal=$(kill -l "$status" 2>/dev/null); then
    reason="ranks ended by SIG$signal"
fi
[ -z "$heard" ] || reason+=", after SIG$heard"
# Unfinished, or ended by a signal: submit the next job, unless this one did nothing. PBS sends
# SIGTERM at qdel and at the walltime; only in the last minute is it the latter.
again=/projects/abc123/results/paper/jobs/paper.sh of_qsub=''
next_job() { # OPTION...
    # No job can wait for an element of an array, and no array has one element.
    sed "s/^#PBS -J .*/PBS_ARRAY_INDEX=$PBS_ARRAY_INDEX/" "$again" | qsub "$@" | tee -a "$again.jobs"
    codes="${PIPESTATUS[*]}" of_qsub=${PIPESTATUS[1]}
}
bad=$(bad_nodes 2>/dev/null)
if [ "$status" -eq 75 ] || [ "$status" -gt 128 ]; then
    if [ -n "$heard" ] && [ "$((SECONDS + 60))" -lt "$((60 * walltime_minutes))" ]; then
        reason+="; no next job, since a signal asked it to end"
    elif [ "$SECONDS" -lt 60 ] && [ "$bad" = "$bad_before" ]; then
        reason+="; no next job, since it ran for less than 60 s"
    else
        # With a spare node if some are bad; without if qsub refuses it.
        [ -z "$bad" ] || next_job -l select=9:ncpus=64:mpiprocs=4:ngpus=4
        [ "$of_qsub" = 0 ] || next_job
        case "$codes" in
            "0 0 0") reason+="; the next job is submitted" ;;
            "0 0 "*) reason+="; the next job is submitted, but $again.jobs could not be written" ;;
            *) reason+="; qsub refused the next job" ;;
        esac
    fi
fi
case "$status $reason" in
    *"the next job is submitted"*) ;;
    "75 "*) reason+="; $go_on" ;;
esac
end_job "$status" "$reason"
