/* Fuzzes the parsing of frames and payloads: whatever comes in, it must answer with a result.
 *
 * With clang: clang -g -O1 -fsanitize=fuzzer,address,undefined fuzz_frames.c ../frames.c ../tlv.c
 * Without: compile with -DOWN_DRIVER and any sanitizers; the driver mutates well-formed input, the same for
 * the same seed: fuzz_frames ROUNDS SEED. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t length_of(char **vector, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += strlen(vector[i]);
    if (vector[count] != NULL)
        abort();
    return sum;
}

static void parse_payload(const uint8_t *payload, size_t size)
{
    struct request r;
    if (request_parse(payload, size, &r) != NULL)
        return;
    size_t text = length_of(r.argv, r.argc) + length_of(r.env, r.envc) + length_of(r.sidecar, r.sidecarc);
    text += strlen(r.path) + (r.token ? strlen(r.token) : 0);
    if (text > size || r.limitc > MAX_LIMITS || strlen(r.cwd) > size + 1)
        abort();
    request_free(&r);
}

/* The first byte says in which steps the rest arrives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer in = {NULL, 0, 0, 0};
    struct frame frame;
    size_t step = size > 0 ? data[0] % 37 + 1u : 1;
    bool fine = true;
    for (size_t at = 1; fine && at < size; at += step) {
        size_t part = size - at < step ? size - at : step;
        if (!buffer_append(&in, data + at, part))
            abort();
        enum frame_result result;
        while ((result = frame_peek(&in, MAX_PAYLOAD, &frame)) == FRAME_COMPLETE) {
            parse_payload(frame.payload, frame.size);
            buffer_consume(&in, FRAME_HEADER + frame.size);
        }
        fine = result == FRAME_PARTIAL;
    }
    buffer_free(&in);
    parse_payload(data, size);
    return 0;
}

#ifdef OWN_DRIVER

enum { MOST = 4096 };

static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static size_t put_entry(uint8_t *at, uint8_t tag, size_t size)
{
    at[0] = tag;
    put_u32(at + 1, (uint32_t)size);
    for (size_t i = 0; i < size; i++)
        at[5 + i] = (uint8_t)(1 + chance(255));
    return 5 + size;
}

static size_t well_formed(uint8_t *out)
{
    size_t size = 1;
    out[0] = (uint8_t)chance(256);
    while (size < MOST / 2 && chance(8) != 0) {
        size_t start = size;
        size += FRAME_HEADER;
        for (uint32_t entries = chance(12); entries > 0; entries--) {
            uint8_t tag = (uint8_t)(1 + chance(19));
            size += put_entry(out + size, tag, tag == T_RLIMIT ? 24 : chance(3) ? 8 : chance(64));
        }
        frame_header(out + start, (uint8_t)chance(80), chance(5), size - start - FRAME_HEADER);
    }
    return size;
}

static size_t mutated(uint8_t *data, size_t size)
{
    for (uint32_t changes = chance(6); changes > 0; changes--) {
        size_t at = chance((uint32_t)size);
        switch (chance(5)) {
        case 0: data[at] ^= (uint8_t)(1u << chance(8)); break;
        case 1: data[at] = (uint8_t)chance(256); break;
        case 2: data[at] = chance(2) ? 0 : 255; break;
        case 3: size = at + 1; break;
        default: memmove(data + at, data + at / 2, size - at); break;
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    static uint8_t data[MOST * 2];
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    state = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1) * 2654435761u + 88172645463325252u;
    for (unsigned long i = 0; i < rounds; i++) {
        size_t size = mutated(data, well_formed(data));
        uint8_t *exact = malloc(size); /* so that the sanitizer sees a read past its end */
        if (exact == NULL)
            return 1;
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%lu inputs\n", rounds);
    return 0;
}

#endif
