"""Options of sbatch and srun, from their manual pages."""

from nnlc.schedulers.options import COUNT, OptionTable

_VALUED = (
    "account acctg-freq batch bb bbf begin chdir cluster-constraint clusters comment constraint "
    "container core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot "
    "dependency distribution error exclude export extra-node-info gid gpu-bind gpu-freq gpus "
    "gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint input job-name licenses "
    "mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile "
    "nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket "
    "open-mode output partition power prefer priority profile qos reservation segment signal "
    "sockets-per-node switches thread-spec threads-per-core time time-min tmp tres-bind "
    "tres-per-task uid wckey "
)
_FLAGS = (
    "contiguous exclusive help hold nice no-kill oom-kill-step overcommit oversubscribe propagate "
    "quiet reboot spread-job stepmgr test-only usage use-min-nodes verbose version "
)
_LETTERS = (
    "A:account b:begin D:chdir M:clusters C:constraint S:core-spec c:cpus-per-task d:dependency "
    "m:distribution e:error x:exclude B:extra-node-info G:gpus H:hold i:input J:job-name "
    "L:licenses k:no-kill F:nodefile w:nodelist N:nodes n:ntasks o:output O:overcommit "
    "s:oversubscribe p:partition q:qos Q:quiet t:time v:verbose V:version h:help "
)
_GPUS = r"(\w+:)?\d{1,9}"
_VALUES = (
    (
        "ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket cpus-per-gpu "
        "cpus-per-task cores-per-socket sockets-per-node threads-per-core mincpus kill-on-bad-exit",
        COUNT,
        "a number",
    ),
    ("gpus gpus-per-node gpus-per-task gpus-per-socket", f"{_GPUS}(,{_GPUS})*", "as 4 or a100:4"),
    ("mem", r"0+|\d{4,12}|\d{1,12}[KMGTkmgt][bB]?", "as 4000 (megabytes), 4000M, 4G or 1T"),
    ("mem-per-cpu mem-per-gpu tmp", r"0+|\d{3,12}|\d{1,12}[KMGTkmgt][bB]?", "as 400 (MB) or 4G"),
    ("open-mode", "a|append|t|truncate", "append or truncate"),
)

SBATCH = OptionTable(
    _VALUED + "array export-file kill-on-invalid-dep wait-all-nodes wrap job-environment",
    _FLAGS + "get-user-env ignore-pbs no-requeue parsable requeue wait",
    _LETTERS + "a:array W:wait",
    _VALUES,
    shortens=True,
    repeatable="output error",
    excludes="no-requeue:requeue mem-per-cpu:mem mem-per-gpu:mem cpus-per-gpu:cpus-per-task "
    "oversubscribe:exclusive",
)

SRUN = OptionTable(
    _VALUED + "accel-bind bcast-exclude cpu-bind epilog het-group jobid mpi msg-timeout prolog "
    "relative slurmd-debug task-epilog task-prolog threads wait",
    _FLAGS + "bcast compress disable-status exact immediate kill-on-bad-exit label multi-prog "
    "no-allocate overlap preserve-env pty quit-on-interrupt resv-ports send-libs unbuffered x11",
    _LETTERS + "X:disable-status I:immediate K:kill-on-bad-exit l:label Z:no-allocate "
    "E:preserve-env r:relative T:threads u:unbuffered W:wait",
    _VALUES,
    shortens=True,
)
