/* The devices of the stub, by the variables that stub_driver.py sets, and which are visible. */
#include "stub.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>

static struct settings made;
static int visible[MAX_DEVICES], visible_count;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static const char *text(const char *name, const char *otherwise) {
    const char *found = getenv(name);
    return found && *found ? found : otherwise;
}

/* An UUID that is the same in every process, and differs between devices. */
void uuid_of(int physical, unsigned char bytes[16]) {
    memset(bytes, 0, 16);
    if (!settings()->uuids) return;
    for (int i = 0; i < 16; i++) bytes[i] = (unsigned char)(17 * i + physical + 1);
}

/* "guide", CUDA Environment Variables: GPU-, and 32 digits in five groups. */
void write_uuid(int physical, char text[UUID_LENGTH]) {
    unsigned char bytes[16];
    uuid_of(physical, bytes);
    text += sprintf(text, "GPU-");
    for (int i = 0; i < 16; i++)
        text += sprintf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
}

/* An entry of CUDA_VISIBLE_DEVICES: an index, or the beginning of an UUID; -1 if there is none. */
static int device_named(const char *entry) {
    char *end;
    long index = strtol(entry, &end, 10);
    if (end != entry && *end == '\0') return index >= 0 && index < made.devices ? (int)index : -1;
    for (int device = 0; device < made.devices && !strncmp(entry, "GPU-", 4); device++) {
        char uuid[UUID_LENGTH];
        write_uuid(device, uuid);
        if (made.uuids && !strncmp(uuid, entry, strlen(entry))) return device;
    }
    return -1;
}

/* "guide", CUDA Environment Variables: the devices before the first wrong entry are visible, in
 * the order of the entries; none of an empty list, or if one stands there twice. */
static void read_visible(void) {
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    if (!list) {
        for (int device = 0; device < made.devices; device++) visible[visible_count++] = device;
        return;
    }
    char *copy = strdup(list), *rest = copy, *entry;
    while ((entry = strsep(&rest, ",")) && visible_count < MAX_DEVICES) {
        int device = device_named(entry + strspn(entry, " "));
        if (device < 0) break;
        for (int i = 0; i < visible_count; i++)
            if (visible[i] == device) {
                visible_count = 0;
                free(copy);
                return;
            }
        visible[visible_count++] = device;
    }
    free(copy);
}

static void read_once(void) {
    const char *capability = text("NNLC_STUB_CAPABILITY", "9.0"), *dot = strchr(capability, '.');
    long devices = number("NNLC_STUB_GPUS", 1);
    made = (struct settings){
        .devices = devices > MAX_DEVICES ? MAX_DEVICES : (int)devices,
        .major = atoi(capability),
        .minor = dot ? atoi(dot + 1) : 0,
        .driver = (int)number("NNLC_STUB_DRIVER", 13000),
        .memory_bytes = (size_t)number("NNLC_STUB_MEMORY_BYTES", 16L << 30),
        .uuids = number("NNLC_STUB_UUIDS", 1),
        .pci = number("NNLC_STUB_PCI", 1),
        .cudnn_bytes = number("NNLC_STUB_CUDNN_BYTES", -1),
        .name = text("NNLC_STUB_NAME", "NVIDIA Stub"),
        .exclusive = text("NNLC_STUB_EXCLUSIVE", NULL),
        .fail = text("NNLC_STUB_FAIL", ""),
        .counters = text("NNLC_STUB_COUNTERS", NULL),
    };
    read_visible();
}

/* Read at the first call and never again, as CUDA reads CUDA_VISIBLE_DEVICES. */
const struct settings *settings(void) {
    static bool read;
    if (!read) {
        read = true;
        read_once();
    }
    return &made;
}

int visible_devices(void) {
    settings();
    return visible_count;
}

int physical_device(int device) {
    settings();
    return visible[device];
}
