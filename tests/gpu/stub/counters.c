/* Counters: written at the end of the process, one line of JSON, and read by tests. */
#include "stub.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

struct gauges gauges;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* The linker names both ends of the section. */
extern struct counter __start_counters[], __stop_counters[];

static const struct { const char *name; const long long *value; } GAUGES[] = {
    {"memory", &gauges.memory},           /* bytes allocated on all devices now */
    {"peak_memory", &gauges.peak_memory}, /* most of these at once */
    {"host_memory", &gauges.host_memory}, /* bytes of pinned memory now */
    {"workspaces", &gauges.workspaces},   /* bytes that cuBLAS was last given, over its handles */
    {"streams", &gauges.streams},         /* alive now, as the next two */
    {"events", &gauges.events},
    {"graphs", &gauges.graphs},           /* executable ones */
    {"captures", &gauges.captures},       /* begun */
    {"refused", &gauges.refused},         /* calls that broke a rule of captures */
    {"kernels", &gauges.kernels},         /* launched, cuBLAS's too */
    {"captured_kernels", &gauges.captured_kernels},
    {"replayed_kernels", &gauges.replayed_kernels},
    {"failures", &gauges.failures},       /* on demand */
};

bool take_lock(void) { return !pthread_mutex_lock(&lock); }
void give_back_lock(bool *held) { pthread_mutex_unlock(&lock); }

static long long all_calls(void) {
    long long calls = 0;
    for (struct counter *each = __start_counters; each < __stop_counters; each++)
        calls += each->value;
    return calls;
}

/* A gauge, the calls of one function, or the "calls" of all functions. */
long long nnlc_stub_counter(const char *name) {
    if (!strcmp(name, "calls")) return all_calls();
    for (size_t i = 0; i < sizeof GAUGES / sizeof *GAUGES; i++)
        if (!strcmp(GAUGES[i].name, name)) return *GAUGES[i].value;
    for (struct counter *each = __start_counters; each < __stop_counters; each++)
        if (!strcmp(each->name, name)) return each->value;
    return -1;
}

/* A child starts anew: it has not called what its parent has called. */
static void in_child(void) {
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; /* another thread may have it */
    for (struct counter *each = __start_counters; each < __stop_counters; each++) each->value = 0;
    forget_contexts();
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, in_child);
}

#define FIELD ", \"%s\": %lld"

__attribute__((destructor)) static void write_counters(void) {
    const char *path = settings()->counters;
    if (!path || !all_calls()) return;
    FILE *file = fopen(path, "ae");
    if (!file) return;
    char line[16384];
    int n = snprintf(line, sizeof line, "{\"process\": %d, \"calls\": %lld", getpid(), all_calls());
    for (size_t i = 0; i < sizeof GAUGES / sizeof *GAUGES; i++)
        n += snprintf(line + n, sizeof line - n, FIELD, GAUGES[i].name, *GAUGES[i].value);
    for (struct counter *each = __start_counters; each < __stop_counters; each++)
        if (each->value)
            n += snprintf(line + n, sizeof line - n, FIELD, each->name, each->value);
    fprintf(file, "%s}\n", line); /* whole, as it is one write */
    fclose(file);
}

/* os._exit, by which trainers end, runs no destructor. */
void _exit(int status) {
    write_counters();
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}
